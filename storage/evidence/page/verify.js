// The verification as a whole. It says what `verify.py` says, as far as a browser can look.

import { BadPolicy, BadRecord, Unreadable, hexOf, sorted } from './bytes.js';
import { fileLines, openFolder, openZip, readBag, textOf } from './bag.js';
import {
  byPlace,
  claimedSpans,
  follows,
  intersect,
  linkOf,
  nameOf,
  problem,
  total,
  verifyLinks,
  verifyOrder,
  verifyRuns,
  verifySession,
  withinHeads,
} from './chain.js';
import { describe, recordedSpans } from './describe.js';
import { digestOf } from './hashes.js';
import { LOG_FOLDER, LogVerification } from './log.js';
import { checkFile, mediaPath, overlapping } from './media.js';
import { leafOf } from './merkle.js';
import { readTrust } from './material.js';
import { endOf, readDisclosure } from './records.js';
import { checkReports } from './reports.js';
import { NOTES } from './words.js';

const RECORDINGS = 'data/media/';
const VERDICTS = ['authentic', 'not_authentic', 'unreadable', 'unproven'];

/**
 * Verify what was picked: `{name, zip}` or `{name, folder: [[path, File]]}`. `policy`: the bytes of
 * trust material, or null; `policyKey`: what must have signed it, or null. `sm3`, `recordings`:
 * whether to take SM3, to read recordings.
 */
export async function verifyPackage(
  picked,
  { policy = null, policyKey = null, sm3 = true, recordings = true, onProgress },
) {
  const report = emptyReport(picked.name);
  let told = null;
  try {
    told = policy && (await readTrust(policy, policyKey));
    const trusted = told && told.policy;
    const files = picked.zip ? await openZip(picked.zip) : openFolder(picked.folder);
    const names = sm3 ? ['sha256', 'sm3'] : ['sha256'];
    const run = new Verification(await readBag(files), report, trusted, {
      names,
      recordings,
      onProgress,
    });
    await run.run();
  } catch (error) {
    if (!(error instanceof Unreadable || error instanceof BadPolicy)) throw error;
    report.problems.push(problem('unreadable', picked.name, error.message));
    return finished(report, 2);
  }
  if (told) {
    report.trust = told.facts;
    report.notes.push(...told.notes);
  }
  report.not_checked.push(...NOTES.always);
  if (!sm3) report.not_checked.push(NOTES.noSm3);
  if (!recordings) {
    report.not_checked.push(NOTES.noMedia);
    report.unproven.push(NOTES.noMedia);
  }
  return finished(report, report.problems.length ? 1 : report.unproven.length ? 3 : 0);
}

function emptyReport(name) {
  return {
    package: name,
    session: null,
    sealed: false,
    tagmanifest_sha256: '',
    info: {},
    problems: [],
    unproven: [],
    logs: [],
    trust: null,
    stamps: [],
    reports: [],
    notes: [],
    not_checked: [],
    streams: [],
  };
}

/** Say whether a problem is of a stream, and of a medium of it: if it names one, of no other. */
function concerns(where, stream, medium) {
  const escaped = stream.replace(/[.]/g, '\\$&');
  if (!new RegExp(`(?<![A-Za-z0-9._:-])${escaped}(?![A-Za-z0-9._:-])`).test(where)) return false;
  const named = where
    .split(' ')
    .slice(1)
    .filter((w) => ['picture', 'sound', 'screen'].includes(w));
  return !medium || !named.length || named.includes(medium);
}

function finished(report, code) {
  const part = (stream, medium) => {
    if (report.problems.some(({ where }) => concerns(where, stream, medium)))
      return 'not_authentic';
    return code === 0 ? 'authentic' : 'consistent';
  };
  const conversions = new Set();
  for (const stream of report.streams) {
    stream.verdict = part(stream.stream);
    for (const track of stream.tracks) {
      track.verdict = part(stream.stream, track.medium);
      conversions.add(track.conversion);
    }
  }
  if (code !== 2) {
    if (conversions.has('not_checked')) report.not_checked.push(NOTES.noSound);
    if (conversions.has('not_stated')) report.not_checked.push(NOTES.noSoundStated);
  }
  return { ...report, exit_code: code, verdict: VERDICTS[code] };
}

class Verification {
  constructor(bag, report, policy, how) {
    this.bag = bag;
    this.report = report;
    this.policy = policy;
    this.how = how;
    this.streams = new Map();
    this.session = [];
    this.leaves = [];
    this.wrong = (...told) => report.problems.push(problem(...told));
  }

  async run() {
    this.report.info = this.bag.info;
    this.report.tagmanifest_sha256 = hexOf(digestOf('sha256', this.bag.tagBytes));
    this.checkBag();
    await this.readSession();
    await this.readStreams();
    this.checkChains();
    await this.checkMedia();
    this.checkCoverage();
    await this.checkLog();
    await checkReports(this.bag.files, this.report, this.leaves, this.wrong);
  }

  checkBag() {
    const { missing, unlisted, strangers, payload, files, info } = this.bag;
    for (const name of missing) this.wrong('missing', name, 'is listed and not there');
    for (const name of unlisted) {
      this.wrong('inserted', name, 'is there and not listed in every manifest');
    }
    for (const name of strangers) {
      this.report.notes.push([`清单之外的文件 ${name}`, `${name} is in no manifest`]);
    }
    const size = payload.reduce((sum, name) => sum + files.get(name).size, 0);
    const found = `${size}.${payload.length}`;
    const stated = info['Payload-Oxum'] ?? found;
    if (stated !== found) {
      this.wrong('inconsistent', 'bag-info.txt', `Payload-Oxum ${stated} is ${found}`);
    }
  }

  filesIn(folder) {
    const start = `data/${folder}/`;
    return sorted(this.bag.payload.filter((n) => n.startsWith(start) && n.endsWith('.ndjson')));
  }

  /** Read a file's lines one by one; what is no record is a problem. */
  async eachLine(name, read) {
    for (const [where, line] of await fileLines(this.bag.files, name, this.wrong)) {
      try {
        read(line);
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        this.wrong('modified', where, error.message);
      }
    }
  }

  async readSession() {
    const files = this.filesIn('session');
    if (files.length !== 1) {
      this.wrong('missing', 'data/session', `one file is needed, ${files.length} are there`);
    }
    for (const name of files.slice(0, 1)) {
      const lines = (await fileLines(this.bag.files, name, this.wrong)).map(([, line]) => line);
      try {
        const { records, problems } = verifySession(lines);
        this.session = records;
        this.leaves = lines.map((line) => hexOf(leafOf(line)));
        this.report.problems.push(...problems);
        if (records.length) this.report.session = records[0].session;
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        this.wrong('modified', name, error.message);
      }
    }
    this.report.sealed = Boolean(this.close());
    if (!this.report.sealed) {
      this.report.notes.push(NOTES.unsealed);
      this.report.unproven.push(NOTES.unsealed);
    }
  }

  close() {
    return this.session.find((record) => record.t === 'close');
  }

  part(stream) {
    if (!this.streams.has(stream)) {
      this.streams.set(stream, { links: [], disclosures: new Map(), claimed: [], covered: [] });
    }
    return this.streams.get(stream);
  }

  async readStreams() {
    for (const name of this.filesIn('records')) {
      await this.eachLine(name, (line) => {
        const link = linkOf(line);
        const { stream, day } = link.record;
        if (`data/records/${stream}/${day}.ndjson` !== name) {
          this.wrong('swapped', name, `holds a record of ${nameOf(link.record)}`);
        }
        this.part(stream).links.push(link);
      });
    }
    for (const name of this.filesIn('disclosures')) {
      await this.eachLine(name, (line) => {
        const facts = readDisclosure(line);
        const { disclosures } = this.part(facts.stream);
        const key = `${facts.day}#${facts.seq}`;
        if (disclosures.has(key)) this.wrong('inserted', name, `speaks twice of ${key}`);
        disclosures.set(key, facts);
      });
    }
    const claimed = claimedSpans(this.session);
    for (const [id, stream] of this.streams) {
      // An open claim reaches as far as there are records.
      const end = stream.links.reduce((most, { record }) => Math.max(most, endOf(record)), 1);
      const spans = claimed.get(id) ?? [];
      stream.claimed = this.report.sealed ? spans : intersect(spans, [[0, end]]);
      if (!stream.claimed.length && this.session.length) {
        this.wrong('inserted', id, 'the session claims nothing of this stream');
      }
    }
    for (const id of sorted([...claimed.keys()].filter((name) => !this.streams.has(name)))) {
      this.report.notes.push([`本包不含码流 ${id}`, `stream ${id} is not in this package`]);
    }
  }

  heads() {
    return this.session.flatMap((r) => (r.t === 'close' || r.t === 'supplement' ? r.heads : []));
  }

  byName() {
    return sorted(this.streams.keys()).map((id) => [id, this.streams.get(id)]);
  }

  checkChains() {
    const heads = this.heads();
    for (const [id, stream] of this.byName()) {
      if (this.report.sealed) {
        const mine = heads.filter((head) => head.stream === id);
        mine.sort((a, b) => (a.day === b.day ? a.first - b.first : a.day < b.day ? -1 : 1));
        this.checkHeads(id, stream, mine);
        continue;
      }
      this.report.problems.push(...verifyLinks(stream.links));
      stream.covered = [...stream.links].sort(byPlace);
      this.report.problems.push(...verifyRuns(stream.covered.map((link) => link.record)));
    }
  }

  /** Each stretch that the close names must be there whole and end in its head. */
  checkHeads(id, stream, heads) {
    const rest = new Set(stream.links);
    this.report.problems.push(...verifyOrder(stream.links));
    stream.covered = withinHeads(stream.links, heads);
    let end = null;
    for (const head of heads) {
      const part = withinHeads(stream.covered, [head]);
      part.forEach((link) => rest.delete(link));
      this.checkStretch(id, head, part);
      const joined = end && part.length && follows(end, part[0]) ? [end, ...part] : part;
      this.report.problems.push(...verifyLinks(joined));
      this.report.problems.push(...verifyRuns(joined.map((link) => link.record)));
      end = part.at(-1) ?? null;
    }
    if (rest.size) {
      const first = stream.links.find((link) => rest.has(link));
      const detail = `${rest.size} record(s) the close does not speak of`;
      this.wrong('inserted', nameOf(first.record), detail);
    }
  }

  checkStretch(id, head, part) {
    const there = new Set(part.map((link) => link.record.seq));
    const lost = [head.first, head.last].filter((seq) => !there.has(seq));
    const count = head.last - head.first + 1 - there.size;
    if (count > 0) {
      const shown = lost.length ? lost[0] : `${head.first} to ${head.last}`;
      const detail = `${count} record(s) that the close names are missing`;
      this.wrong('removed', `${id}/${head.day}#${shown}`, detail);
    } else if (part.at(-1)?.leaf !== head.head) {
      const where = part.length ? nameOf(part.at(-1).record) : `${id}/${head.day}#${head.last}`;
      this.wrong('modified', where, 'is not the record that the close names');
    }
  }

  async checkMedia() {
    let tasks = this.tasks();
    const expected = new Set(tasks.filter((task) => task.record).map((task) => task.name));
    for (const name of this.bag.payload) {
      if (name.startsWith(RECORDINGS) && !expected.has(name)) {
        this.wrong('inserted', name, 'belongs to no record of the package');
      }
    }
    if (!this.how.recordings) tasks = tasks.filter((task) => !task.name.startsWith(RECORDINGS));
    const owners = new Map(
      tasks.filter((t) => t.record).map((t) => [t.record.file.sha256, t.name]),
    );
    const all = tasks.reduce((sum, task) => sum + this.bag.files.get(task.name).size, 0);
    let done = 0;
    for (const task of tasks) {
      const finding = await checkFile(this.bag.files.get(task.name), task, this.how.names, (n) => {
        done += n;
        this.how.onProgress?.(done, all);
      });
      this.judge(task, finding, owners);
    }
  }

  tasks() {
    const media = [];
    const named = new Set();
    for (const stream of this.streams.values()) {
      for (const { record } of stream.links) {
        if (record.t !== 'segment') continue;
        const name = mediaPath(record);
        const disclosure = stream.disclosures.get(`${record.day}#${record.seq}`);
        if (this.bag.files.has(name)) {
          if (!named.has(name))
            media.push({ name, listed: this.bag.listed(name), record, disclosure });
          named.add(name);
        } else if (overlapping(record, stream.claimed) && (!disclosure || disclosure.kept.length)) {
          this.wrong('missing', name, `the file of ${nameOf(record)} is not there`);
        }
      }
    }
    const others = sorted([...this.bag.files.keys()].filter((name) => !named.has(name)));
    const asIs = (name) => ({
      name,
      listed: this.bag.listed(name),
      record: null,
      disclosure: null,
    });
    return [...media, ...others.map(asIs)];
  }

  judge(task, finding, owners) {
    if (!finding.wrong.length) return;
    const other = owners.get(finding.sha256);
    if (task.record && other && other !== task.name) {
      this.wrong('swapped', task.name, `holds the bytes of ${other}`);
    } else {
      this.wrong(finding.kind, task.name, finding.wrong.join('; '));
    }
  }

  checkCoverage() {
    for (const [id, stream] of this.byName())
      this.report.streams.push(describe(this.bag.files, id, stream));
    const close = this.close();
    for (const record of close ? this.session : []) {
      if (record.t === 'close' || record.t === 'supplement') this.recompute(record, close.due);
    }
  }

  recompute(stated, due) {
    for (const entry of stated.coverage) {
      const stream = this.streams.get(entry.stream);
      if (!stream) continue;
      const wanted = due.filter((s) => s.stream === entry.stream && s.to > s.from);
      const spans = wanted.map((s) => [s.from, s.to]);
      const named = withinHeads(stream.covered, stated.heads).map((link) => link.record);
      const dueUs = total(spans);
      const recordedUs = total(intersect(spans, recordedSpans(named, entry.medium)));
      if (entry.due_us !== dueUs || entry.recorded_us !== recordedUs) {
        const said = `${entry.recorded_us} of ${entry.due_us} µs recorded`;
        const where = `${entry.stream} ${entry.medium} in the ${stated.t}`;
        this.wrong('inconsistent', where, `${said}; the records show ${recordedUs} of ${dueUs}`);
      }
    }
  }

  async logFiles() {
    const files = new Map();
    for (const name of this.bag.payload.filter((n) => n.startsWith(LOG_FOLDER))) {
      try {
        files.set(name, await textOf(this.bag.files, name));
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        this.wrong('unreadable', name, error.message);
      }
    }
    return files;
  }

  async checkLog() {
    const heads = this.heads().filter((head) => this.streams.has(head.stream));
    const claims = {
      session: this.report.session ?? '',
      leaves: this.leaves,
      heads,
      times: this.session.map((record) => record.at),
    };
    const found = await new LogVerification(await this.logFiles(), this.policy).run(claims);
    const { report } = this;
    report.problems.push(...found.problems);
    report.unproven.push(...found.unproven);
    report.logs = found.logs;
    report.stamps = found.stamps;
    report.not_checked.push(...found.notChecked);
    if (found.stamps.length) report.not_checked.push(NOTES.noTokenCheck);
    if (this.policy?.quorum === 'none') report.notes.push(NOTES.noWitness);
  }
}
