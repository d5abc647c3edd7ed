// Evidence reports beside the payload: that each is of this session's records.

import { BadRecord, Unreadable, sorted } from './bytes.js';
import { textOf } from './bag.js';
import { parse } from './records.js';
import { NOTES } from './words.js';

const REPORTS = 'report/';

/** Each evidence report must be of this session's records; who signed it is not looked at. */
export async function checkReports(files, report, leaves, wrong) {
  const names = [...files.keys()].filter((name) => name.startsWith(REPORTS));
  if (names.length) report.not_checked.push(NOTES.noReportCheck);
  const there = new Set(names);
  for (const name of sorted(names.filter((n) => n.endsWith('.json')))) {
    const document = name.replace(/\.json$/, '.pdf');
    let facts;
    try {
      facts = reportFacts(parse(await textOf(files, name)), report.session, leaves);
    } catch (error) {
      if (!(error instanceof BadRecord || error instanceof Unreadable)) throw error;
      wrong(error instanceof BadRecord ? 'inconsistent' : 'unreadable', name, error.message);
      continue;
    }
    if (!there.has(document)) {
      wrong('missing', document, 'its facts are there without it');
      continue;
    }
    report.reports.push({ ...facts, trusted: null });
    report.notes.push(NOTES.report(facts.number, leaves.length - 1 - facts.record));
  }
  for (const name of sorted(names.filter((n) => n.endsWith('.pdf')))) {
    if (!there.has(name.replace(/\.pdf$/, '.json'))) {
      wrong('inserted', name, 'the facts of this report are not there');
    }
  }
}

function reportFacts(facts, session, leaves) {
  const { number, sitting, root } = facts;
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  if (facts.t !== 'evidence_report' || typeof number !== 'string') {
    throw new BadRecord('these are not the facts of an evidence report');
  }
  if (!isObject(sitting) || sitting.session !== session) {
    throw new BadRecord('the report is about another session');
  }
  if (!isObject(root)) throw new BadRecord('the report names no root');
  const leaf = typeof root.seq === 'number' ? leaves[root.seq] : undefined;
  if (leaf === undefined || root.leaf !== leaf) {
    throw new BadRecord("the report's root is not a record of this session");
  }
  return { number, record: root.seq };
}
