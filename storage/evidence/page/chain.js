// Chains of records: nothing changed, removed, inserted or put in another order.

import { BadRecord, compare, hexOf, sorted } from './bytes.js';
import { leafOf } from './merkle.js';
import {
  endOf,
  isOfStream,
  parse,
  readRecord,
  sessionGenesis,
  startOf,
  utcDay,
} from './records.js';

const RUN_TOLERANCE_US = 500000n;
const UNDECLARED_HOLE_US = 2000000n;

// Half-open intervals [from, to] of µs UTC, and sets of them.
export function union(spans) {
  const out = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = out[out.length - 1];
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

export function intersect(left, right) {
  const out = [];
  const others = union(right);
  for (const [from, to] of union(left)) {
    for (const [a, b] of others) {
      if (Math.max(from, a) < Math.min(to, b)) out.push([Math.max(from, a), Math.min(to, b)]);
    }
  }
  return out;
}

export function subtract(left, right) {
  const out = [];
  const holes = union(right);
  for (const [begin, to] of union(left)) {
    let from = begin;
    for (const [a, b] of holes) {
      if (b <= from || a >= to) continue;
      if (a > from) out.push([from, a]);
      from = Math.max(from, b);
    }
    if (from < to) out.push([from, to]);
  }
  return out;
}

export const total = (spans) => union(spans).reduce((sum, [from, to]) => sum + to - from, 0);

export const problem = (kind, where, detail) => ({ kind, where, detail });
export const nameOf = (record) => `${record.stream}/${record.day}#${record.seq}`;
export const byPlace = (a, b) => compare(a.record.day, b.record.day) || a.record.seq - b.record.seq;

/** Read a stream's record from its canonical bytes. */
export function linkOf(line) {
  const record = readRecord(parse(line));
  if (!isOfStream(record)) throw new BadRecord('$.t: not a record of a stream');
  return { record, leaf: hexOf(leafOf(line)) };
}

export function verifyLinks(links) {
  if (!links.length) return [];
  const ordered = [...links].sort(byPlace);
  const problems = verifyOrder(links);
  for (let n = 1; n < ordered.length; n++) problems.push(...checkLink(ordered[n - 1], ordered[n]));
  return problems;
}

export function verifyOrder(links) {
  const ordered = [...links].sort(byPlace);
  const at = links.findIndex((link, n) => link !== ordered[n]);
  if (at < 0) return [];
  const detail = `${nameOf(ordered[at].record)} should stand in this place`;
  return [problem('reordered', nameOf(links[at].record), detail)];
}

function checkLink(before, after) {
  const [a, b] = [before.record, after.record];
  const name = nameOf(b);
  if (a.site !== b.site || a.stream !== b.stream) {
    return [problem('swapped', name, `stands among the records of ${a.stream}`)];
  }
  const own = utcDay(startOf(b));
  const day = a.day > own ? a.day : own;
  const seq = day === a.day ? a.seq + 1 : 0;
  if (a.day === b.day && a.seq === b.seq) {
    return [problem('inserted', name, 'two records claim this place')];
  }
  if (b.day === day && b.seq === seq) {
    if (b.prev === before.leaf) return [];
    return [problem('modified', nameOf(a), `is not the record that ${name} points to`)];
  }
  if (b.prev === before.leaf) {
    return [problem('inconsistent', name, `should be ${a.stream}/${day}#${seq}`)];
  }
  const missing = b.day === day ? `${a.stream}/${day}#${seq}` : `the end of ${a.day}`;
  return [problem('removed', name, `records between it and ${nameOf(a)}: ${missing}`)];
}

export function withinHeads(links, heads) {
  return links
    .filter(({ record }) =>
      heads.some(
        (head) =>
          head.stream === record.stream &&
          head.day === record.day &&
          head.first <= record.seq &&
          record.seq <= head.last,
      ),
    )
    .sort(byPlace);
}

export function verifyRuns(records) {
  const gaps = records.filter((record) => record.t === 'gap');
  const last = new Map();
  const problems = [];
  for (const record of records) {
    if (record.t !== 'segment') continue;
    const before = last.get(record.run);
    if (before) problems.push(...checkRun(before, record, gaps));
    last.set(record.run, record);
  }
  return problems;
}

// Rounded down, as whole numbers of any size: seconds times ticks may pass 2^53.
function ticksToUs(ticks, scale) {
  const product = BigInt(ticks) * 1000000n;
  const whole = product / BigInt(scale);
  return product < 0n && whole * BigInt(scale) !== product ? whole - 1n : whole;
}

function checkRun(a, b, gaps) {
  const where = nameOf(b);
  const told = `part ${b.run_seq} of its run follows ${a.run_seq}`;
  if (b.run_seq <= a.run_seq) return [problem('reordered', where, told)];
  const declared = gaps.some((gap) => gap.from < endOf(b) && startOf(a) < gap.to);
  if (b.run_seq !== a.run_seq + 1 && !declared) return [problem('removed', where, told)];
  const tracks = new Map(b.tracks.map((track) => [track.id, track]));
  const before = new Map(a.media.map((media) => [media.track, media]));
  const holes = new Map();
  for (const media of b.media) {
    const old = before.get(media.track);
    if (!old) continue;
    const { timescale, medium } = tracks.get(media.track);
    const ticks = BigInt(media.dts) - BigInt(old.dts) - BigInt(old.dur);
    holes.set(medium, ticksToUs(ticks, timescale));
  }
  const over = sorted([...holes].filter(([, hole]) => hole < -RUN_TOLERANCE_US).map(([m]) => m));
  if (over.length) {
    return [problem('inserted', where, `its ${over.join(', ')} overlaps the part before`)];
  }
  const least = [...holes.values()].reduce(
    (x, y) => (y < x ? y : x),
    holes.values().next().value ?? 0n,
  );
  if (holes.size && !declared && least > UNDECLARED_HOLE_US) {
    const detail = `${least / 1000n} ms before it are neither there nor declared`;
    return [problem('removed', where, detail)];
  }
  return [];
}

/** Check a session's own records, given as lines. Throws BadRecord. */
export function verifySession(lines) {
  const records = [];
  const problems = [];
  let prev = null;
  lines.forEach((line, index) => {
    const record = readRecord(parse(line));
    if (isOfStream(record)) throw new BadRecord('$.t: not a record of a session');
    if (prev === null) prev = sessionGenesis(record.session);
    const where = `session ${record.session}#${record.seq}`;
    if (records.length && record.session !== records[0].session) {
      problems.push(problem('swapped', where, 'belongs to another session'));
    } else if (record.seq !== index) {
      const kind = record.seq > index ? 'removed' : 'reordered';
      problems.push(problem(kind, where, `stands in the place of #${index}`));
    } else if (record.prev !== prev) {
      problems.push(problem('modified', where, 'does not point to the record before it'));
    }
    prev = hexOf(leafOf(line));
    records.push(record);
  });
  return { records, problems: [...problems, ...checkCourse(records)] };
}

function checkCourse(records) {
  if (!records.length) return [problem('missing', 'session', 'no record of the session')];
  const name = `session ${records[0].session}`;
  const problems = [];
  const plans = records.filter((record) => record.t === 'plan').length;
  if (records[0].t !== 'plan' || plans !== 1) {
    problems.push(problem('inconsistent', name, 'must begin with its one plan'));
  }
  const closes = records.flatMap((record, n) => (record.t === 'close' ? [n] : []));
  if (closes.length > 1) problems.push(problem('inserted', name, 'is closed more than once'));
  if (closes.length && records.slice(closes[0] + 1).some((record) => record.t !== 'supplement')) {
    problems.push(problem('inserted', name, 'has records after its close'));
  }
  for (const n of closes) problems.push(...checkClaims(records[n], records, name));
  return problems;
}

function standingClaims(records) {
  const last = new Map();
  for (const record of records) if (record.t === 'claim') last.set(record.claim, record);
  return new Map(
    [...last].filter(([, item]) => item.withdrawn === undefined && item.moved_to === undefined),
  );
}

function checkClaims(close, records, name) {
  const terms = (item) => JSON.stringify([item.stream, item.class, item.from, item.to]);
  const told = new Map([...standingClaims(records)].map(([id, item]) => [id, terms(item)]));
  const closed = new Map(close.claims.map((item) => [item.claim, terms(item)]));
  return sorted(new Set([...told.keys(), ...closed.keys()]))
    .filter((claim) => told.get(claim) !== closed.get(claim))
    .map((claim) =>
      problem('inconsistent', name, `${claim} is not closed as it was last recorded`),
    );
}

export function follows(before, after) {
  const [a, b] = [before.record, after.record];
  return (
    (a.day === b.day && b.seq === a.seq + 1) ||
    (a.day < b.day && b.seq === 0 && b.prev === before.leaf)
  );
}

/** Give what a session claims of each stream: as its close says, else by its claim records. */
export function claimedSpans(records) {
  const spans = new Map();
  const add = (item, to) => {
    if (to <= item.from) return;
    spans.set(item.stream, [...(spans.get(item.stream) ?? []), [item.from, to]]);
  };
  const close = records.find((record) => record.t === 'close');
  if (close) close.claims.forEach((item) => add(item, item.to));
  else standingClaims(records).forEach((item) => add(item, item.to ?? Number.MAX_SAFE_INTEGER));
  return new Map([...spans].map(([stream, parts]) => [stream, union(parts)]));
}
