// Signed notes, checkpoints and policies in the forms of C2SP; signatures by the browser itself.

import {
  BadNote,
  BadPolicy,
  big,
  decoded,
  encoded,
  fromBase64,
  hexOf,
  joined,
  same,
  shownText,
} from './bytes.js';
import { digestOf } from './hashes.js';

export const ED25519 = 1;
const COSIGNATURE = 4;
const MAX_NOTE = 100000;
const MAX_SIGNATURES = 64;
const MAX_POLICY = 1000000;
const LATEST_S = 7258118400n;
const DASH = '— ';
const KEY_NAME = /^[^\s+]+$/u;

/** Whether this browser can verify Ed25519; `null` until somebody has asked. */
let able = null;

export async function knowsEd25519() {
  if (able === null) {
    try {
      // The curve's base point: a key that nobody can call wrong.
      const base = joined([Uint8Array.of(0x58), new Uint8Array(31).fill(0x66)]);
      await crypto.subtle.importKey('raw', base, { name: 'Ed25519' }, true, ['verify']);
      able = true;
    } catch {
      able = false;
    }
  }
  return able;
}

/** Say whether a signature is good. Never throws, whatever the bytes are. */
export async function verifies(key, message, signature) {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    const name = { name: 'Ed25519' };
    const made = await crypto.subtle.importKey('raw', key, name, false, ['verify']);
    return await crypto.subtle.verify(name, made, signature, message);
  } catch {
    return false;
  }
}

/** Read a public key as C2SP writes them. */
export function readKey(text) {
  const [name, id, ...rest] = text.split('+');
  if (id === undefined || !rest.length || !KEY_NAME.test(name)) {
    throw new BadNote('a key is NAME+ID+KEY');
  }
  const data = fromBase64(rest.join('+'));
  if (data.length !== 33 || (data[0] !== ED25519 && data[0] !== COSIGNATURE)) {
    throw new BadNote(`${name}: only Ed25519 keys are known here`);
  }
  const own = digestOf('sha256', encoded(`${name}\n`), data).subarray(0, 4);
  if (hexOf(own) !== id) throw new BadNote(`${name}: the key's id is not that of the key`);
  const bytes = data.subarray(1);
  const fingerprint = hexOf(digestOf('sha256', bytes));
  return { name, kind: data[0], id: own, bytes, fingerprint, text };
}

/** Read a signed note of at most so many bytes. */
export function readNote(bytes, most = MAX_NOTE) {
  let whole;
  try {
    whole = decoded(bytes);
  } catch {
    throw new BadNote('a note is UTF-8');
  }
  if (bytes.length > most || /[\x00-\x09\x0b-\x1f]/.test(whole)) {
    throw new BadNote('a note is short and holds no control characters');
  }
  const at = whole.lastIndexOf('\n\n');
  const lines = whole.slice(at + 2).split('\n');
  const last = lines.pop();
  if (at < 0 || last || !lines.length || lines.length > MAX_SIGNATURES) {
    throw new BadNote('a note is a text, an empty line, and signatures');
  }
  return { text: `${whole.slice(0, at)}\n`, signatures: lines.map(readSignature) };
}

function readSignature(line) {
  const rest = line.slice(DASH.length);
  const space = rest.indexOf(' ');
  const name = rest.slice(0, space);
  if (!line.startsWith(DASH) || space < 0 || !KEY_NAME.test(name)) {
    throw new BadNote('a line of signature is a dash, a name and base64');
  }
  const data = fromBase64(rest.slice(space + 1));
  if (data.length <= 4) throw new BadNote('a signature is too short');
  return { name, id: data.subarray(0, 4), data: data.subarray(4) };
}

/** Give the time (s) of a key's good signature, 0 if it states none, `null` if there is none. */
export async function verifiedBy(note, key) {
  let found = null;
  for (const signature of note.signatures) {
    if (signature.name !== key.name || !same(signature.id, key.id)) continue;
    let [at, message, data] = [0, encoded(note.text), signature.data];
    if (key.kind === COSIGNATURE) {
      const stated = big(data.subarray(0, 8));
      if (stated > LATEST_S) throw new BadNote(`the cosignature of ${key.name} is of no time`);
      at = Number(stated);
      message = encoded(`cosignature/v1\ntime ${at}\n${note.text}`);
      data = data.subarray(8);
    }
    if (!(await verifies(key.bytes, message, data))) {
      throw new BadNote(`the signature of ${key.name} is wrong`);
    }
    found = found === null ? at : Math.min(found, at);
  }
  return found;
}

/** Read the text of a note as a checkpoint. */
export function readCheckpoint(note) {
  const lines = note.text.split('\n');
  if (lines.pop() || lines.length < 3 || !lines.every((line) => /^[^\x00-\x1f]+$/.test(line))) {
    throw new BadNote('a checkpoint is an origin, a size and a root');
  }
  if (!/^(0|[1-9][0-9]{0,15})$/.test(lines[1])) {
    throw new BadNote('the size of a checkpoint is no number');
  }
  const root = fromBase64(lines[2]);
  if (root.length !== 32) throw new BadNote('the root of a checkpoint is no SHA-256');
  return { origin: lines[0], size: Number(lines[1]), root };
}

/** Read trust material. */
export function readPolicy(bytes) {
  let text;
  try {
    text = decoded(bytes);
  } catch {
    throw new BadPolicy('a policy is UTF-8');
  }
  if (bytes.length > MAX_POLICY) throw new BadPolicy('a policy is not so long');
  const reading = new Reading();
  text.split('\n').forEach((line, n) => {
    const words = line.replace(/^[ \t]+|[ \t]+$/g, '').split(/[ \t]+/);
    if (words[0] === '' || words[0].startsWith('#')) return;
    try {
      reading.take(words[0], words.slice(1));
    } catch (error) {
      if (!(error instanceof BadNote || error instanceof BadPolicy)) throw error;
      throw new BadPolicy(`line ${n + 1} of the policy: ${error.message}`);
    }
  });
  if (reading.quorum === null) {
    throw new BadPolicy('the policy has no quorum line (`quorum none` asks for no witness)');
  }
  return reading;
}

/** Whom the reader trusts. */
class Reading {
  constructor() {
    this.logs = [];
    this.recorders = [];
    this.reports = [];
    this.witnesses = new Map();
    this.groups = new Map();
    this.timestamps = new Map();
    this.quorum = null;
    this.members = new Set();
  }

  take(kind, words) {
    const count = words.length;
    if (kind === 'log' && (count === 1 || count === 2)) {
      this.logs.push(newKey(words[0], ED25519, this.logs));
    } else if (kind === 'recorder' && count === 1) {
      this.recorders.push(newKey(words[0], ED25519, this.recorders));
    } else if (kind === 'witness' && (count === 2 || count === 3)) {
      const key = newKey(words[1], COSIGNATURE, [...this.witnesses.values()]);
      this.witnesses.set(this.fresh(words[0]), key);
    } else if (kind === 'timestamp' && (count === 2 || count === 3)) {
      const parts = words[1].split(',').map(fromBase64);
      this.timestamps.set(this.fresh(words[0]), parts);
    } else if (kind === 'report' && count === 1) {
      this.reports.push(fromBase64(words[0]));
    } else if (kind === 'group' && count >= 3) {
      this.group(words[0], words[1], words.slice(2));
    } else if (kind === 'quorum' && count === 1 && this.quorum === null) {
      if (words[0] !== 'none') this.known(words[0]);
      this.quorum = words[0];
    } else {
      throw new BadPolicy(`${shownText(kind)} with ${count} word(s) is not known`);
    }
  }

  group(name, threshold, members) {
    for (const member of members) {
      this.known(member);
      if (this.members.has(member)) throw new BadPolicy(`${member} is a member twice`);
      this.members.add(member);
    }
    let needed = { all: members.length, any: 1 }[threshold] ?? 0;
    if (!needed && /^[1-9][0-9]{0,3}$/.test(threshold)) needed = Number(threshold);
    if (!(needed > 0 && needed <= members.length)) {
      throw new BadPolicy(`${threshold} of ${members.length} is no threshold`);
    }
    this.groups.set(this.fresh(name), { needed, members });
  }

  fresh(name) {
    const taken = [this.witnesses, this.groups, this.timestamps].some((names) => names.has(name));
    if (name === 'none' || taken) throw new BadPolicy(`the name ${name} is taken`);
    return name;
  }

  known(name) {
    if (!this.witnesses.has(name) && !this.groups.has(name)) {
      throw new BadPolicy(`${name} is not defined above`);
    }
  }

  log(origin) {
    return this.logs.find((key) => key.name === origin) ?? null;
  }

  async cosigned(note) {
    const found = new Map();
    for (const [name, key] of this.witnesses) {
      const at = await verifiedBy(note, key);
      if (at !== null) found.set(name, at);
    }
    return found;
  }

  enough(names) {
    return this.quorum === 'none' || this.holds(this.quorum, names);
  }

  holds(name, there) {
    const group = this.groups.get(name);
    if (!group) return there.has(name);
    return group.members.filter((member) => this.holds(member, there)).length >= group.needed;
  }
}

function newKey(text, kind, others) {
  const key = readKey(text);
  if (key.kind !== kind) throw new BadPolicy(`${key.name} is a key for something else`);
  if (others.some((other) => same(other.bytes, key.bytes))) {
    throw new BadPolicy(`the key of ${key.name} is there twice`);
  }
  return key;
}
