// What a package carries of the log: each record and epoch in a signed log that is trusted.

import { BadNote, BadRecord, encoded, fromHex, hexOf, linesOf, sorted } from './bytes.js';
import { problem } from './chain.js';
import { digestOf } from './hashes.js';
import { leafOf, verifyInclusion } from './merkle.js';
import { knowsEd25519, readCheckpoint, readNote, verifiedBy, verifies } from './note.js';
import { canonical, formatOf, parse, readBy } from './records.js';
import { holdAgainstStamps, verifyStamps } from './stamps.js';

export const LOG_FOLDER = 'data/log/';
const COVERED = 'data/log/covered.ndjson';
const NO_ED25519 = [
  '本浏览器不支持 Ed25519:未核对检查点与录制端的签名',
  'signatures by Ed25519: this browser does not know it',
];

const bytesOf = (value) => encoded(canonical(value));
const unique = (entries) => [...new Map(entries.map((e) => [canonical(e), e])).values()];

function readLogged(line) {
  const value = parse(line);
  if (value.v !== 1 || value.t !== 'logged') throw new BadRecord('$: not a line of kind logged');
  const { entry } = value;
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
    throw new BadRecord('$.entry: an object is needed');
  }
  readBy(formatOf('logged'), value, ['v', 't', 'entry']);
  if (entry.v !== 1) throw new BadRecord('$.v: this version is not known');
  const kinds = formatOf('entries');
  if (typeof entry.t !== 'string' || !Object.hasOwn(kinds, entry.t)) {
    throw new BadRecord('$.t: this kind of entry is not known');
  }
  readBy(kinds[entry.t], entry);
  return value;
}

function readCovered(line) {
  const value = parse(line);
  if (value.v !== 1 || value.t !== 'covered') throw new BadRecord('$: not a line of kind covered');
  return readBy(formatOf('covered'), value);
}

/** Holds the log's part of a package against its records, and a policy if there is one. */
export class LogVerification {
  constructor(files, policy) {
    this.files = files;
    this.policy = policy;
    this.entries = [];
    this.places = new Map();
    this.found = { problems: [], unproven: [], logs: [], stamps: [], notChecked: [] };
  }

  async run(claims) {
    if (!this.policy)
      this.unproven('未提供包外信任材料', 'no trust material from outside was given');
    this.able = !this.policy || (await knowsEd25519());
    if (!this.able) {
      this.unproven(...NO_ED25519);
      this.found.notChecked.push(NO_ED25519);
    }
    for (const name of sorted(this.files.keys())) {
      if (/^data\/log\/[^/]*\/checkpoint$/.test(name)) {
        await this.readShard(name, name.slice(0, -'checkpoint'.length));
      }
    }
    this.checkSession(claims);
    await this.checkHeads(claims.heads);
    this.checkTimes(claims);
    return this.found;
  }

  wrong(kind, where, detail) {
    this.found.problems.push(problem(kind, where, detail));
  }

  unproven(chinese, english) {
    this.found.unproven.push([chinese, english]);
  }

  lines(name) {
    const { lines, whole } = linesOf(this.files.get(name) ?? new Uint8Array());
    if (!whole) this.wrong('modified', name, 'its last line does not end');
    return lines.map((line, n) => [`${name} line ${n + 1}`, line]);
  }

  async readShard(name, base) {
    let checkpoint;
    try {
      const note = readNote(this.files.get(name));
      checkpoint = readCheckpoint(note);
      if (this.policy) await this.holdCheckpoint(note, checkpoint, base);
    } catch (error) {
      if (!(error instanceof BadNote)) throw error;
      this.wrong('modified', name, error.message);
      return;
    }
    for (const [where, line] of this.lines(`${base}entries.ndjson`)) {
      try {
        this.takeEntry(where, readLogged(line), checkpoint);
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        this.wrong('modified', where, error.message);
      }
    }
  }

  takeEntry(where, { index, path, entry }, { origin, size, root }) {
    if (!verifyInclusion(leafOf(bytesOf(entry)), index, size, path.map(fromHex), root)) {
      this.wrong('modified', where, 'is not in the log that the checkpoint is of');
      return;
    }
    this.entries.push(entry);
    if (entry.t === 'session') this.places.set(entry.leaf, { origin, index });
  }

  async holdCheckpoint(note, checkpoint, base) {
    const { origin, size } = checkpoint;
    const key = this.policy.log(origin);
    if (!key) {
      const said = `the trust material does not speak of the log ${origin}`;
      this.unproven(`信任材料未列出存证账本 ${origin}`, said);
      return;
    }
    if (!this.able) return;
    if ((await verifiedBy(note, key)) === null) {
      throw new BadNote(`not signed by the key of ${key.name} that is trusted`);
    }
    const cosigned = await this.policy.cosigned(note);
    if (!this.policy.enough(new Set(cosigned.keys()))) {
      const [count, of] = [cosigned.size, this.policy.witnesses.size];
      const said = `not enough witnesses have cosigned the log (${count} of ${of} have)`;
      this.unproven(`共签机构未达法定数(${of} 家中有 ${count} 家共签)`, said);
    } else {
      const witnesses = sorted(cosigned.keys()).map((name) => ({ name, at: cosigned.get(name) }));
      this.found.logs.push({ origin, size, key: key.fingerprint, witnesses });
    }
    const stamped = await verifyStamps(this.files, base, this.policy, checkpoint);
    this.found.problems.push(...stamped.problems);
    this.found.stamps.push(...stamped.stamps);
  }

  checkTimes({ session, leaves, times }) {
    if (!this.policy || !this.able) return;
    const records = leaves.flatMap((leaf, seq) => {
      const place = this.places.get(leaf);
      return place ? [{ where: `session ${session}#${seq}`, ...place, at: times[seq] }] : [];
    });
    const held = holdAgainstStamps(records, this.found.stamps, this.policy);
    this.found.problems.push(...held.problems);
    this.found.unproven.push(...held.unproven);
  }

  checkSession({ session, leaves }) {
    const tag = hexOf(digestOf('sha256', encoded(`tag\0${session}`)));
    const logged = new Map();
    for (const entry of this.entries) {
      if (entry.t !== 'session' || entry.tag !== tag) continue;
      logged.set(entry.seq, (logged.get(entry.seq) ?? new Set()).add(entry.leaf));
    }
    let missing = 0;
    leaves.forEach((leaf, seq) => {
      const told = logged.get(seq);
      if (!told) missing++;
      else if (told.size !== 1 || !told.has(leaf)) {
        this.wrong('modified', `session ${session}#${seq}`, 'is not the record that was logged');
      }
    });
    for (const seq of [...logged.keys()].filter((n) => n >= leaves.length).sort((a, b) => a - b)) {
      this.wrong('removed', `session ${session}#${seq}`, 'was logged and is not here');
    }
    if (missing || !leaves.length) {
      const said = `${missing} record(s) of the session are not shown to be in the log`;
      this.unproven(`场次的 ${missing} 条记录未证明已入存证账本`, said);
    }
  }

  async checkHeads(heads) {
    const covered = new Map();
    for (const [where, line] of this.files.has(COVERED) ? this.lines(COVERED) : []) {
      try {
        const facts = readCovered(line);
        covered.set(`${facts.head.stream}/${facts.head.day}#${facts.last}`, facts);
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        this.wrong('modified', where, error.message);
      }
    }
    const bare = [];
    for (const head of unique(heads)) {
      const name = `${head.stream}/${head.day}#${head.last}`;
      const facts = covered.get(name);
      const epoch = facts && this.epoch(facts);
      if (!epoch) bare.push(name);
      else if (await this.signed(epoch)) this.checkCovered(name, head, facts, epoch);
    }
    if (bare.length) {
      const few = bare.slice(0, 5).join(', ');
      const said = `no epoch of a recorder is shown to cover ${few}`;
      this.unproven(`未证明录制端时段签名覆盖 ${few}`, said);
    }
  }

  epoch({ recorder, epoch }) {
    return this.entries.find(
      (entry) => entry.t === 'epoch' && entry.recorder === recorder && entry.seq === epoch,
    );
  }

  /** Say whether there is any use in looking further; without a policy there is. */
  async signed(epoch) {
    if (!this.policy || !this.able) return true;
    const name = `${epoch.site}/recorder/${epoch.recorder}`;
    const keys = this.policy.recorders.filter((key) => key.name === name);
    if (!keys.length) {
      const said = `the trust material has no key of the recorder ${epoch.recorder}`;
      this.unproven(`信任材料未列出录制端 ${epoch.recorder} 的公钥`, said);
      return false;
    }
    const { signature, ...body } = epoch;
    const message = encoded(`bidwitness/epoch/v1\n${canonical(body)}`);
    for (const key of keys) {
      if (await verifies(key.bytes, message, fromHex(signature))) return true;
    }
    const where = `epoch ${epoch.recorder}#${epoch.seq}`;
    this.wrong('modified', where, 'is not signed by a key of the recorder that is trusted');
    return false;
  }

  checkCovered(name, head, facts, epoch) {
    const leaf = leafOf(bytesOf({ v: 1, t: 'head', ...facts.head }));
    const path = facts.path.map(fromHex);
    const recordPath = facts.record_path.map(fromHex);
    const { count, root } = facts.head;
    if (!verifyInclusion(leaf, facts.number, epoch.size, path, fromHex(epoch.root))) {
      this.wrong('modified', name, 'its head is not one that the epoch was signed over');
    } else if (!verifyInclusion(fromHex(head.head), head.last, count, recordPath, fromHex(root))) {
      this.wrong('modified', name, 'is not the record that the epoch covers');
    }
  }
}
