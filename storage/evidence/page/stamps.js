// Time stamps (RFC 3161): what they state, which checkpoint they are of, and what that shows.

import { BadNote, BadRecord, BadToken, big, fromHex, hexOf, linesOf, sorted } from './bytes.js';
import { verifyConsistency } from './merkle.js';
import { readCheckpoint, readNote, verifiedBy } from './note.js';
import { formatOf, parse, readBy, utcText } from './records.js';
import { problem } from './chain.js';

const MAX_TOKEN = 256 * 1024;
const EARLY_US = 300000000;
const LATE_US = 86400000000;
const SIGNED_DATA = '2a864886f70d010702';
const TST_INFO = '2a864886f70d0109100104';
const DIGESTS = {
  '608648016503040201': 'SHA-256',
  '608648016503040202': 'SHA-384',
  '608648016503040203': 'SHA-512',
};

/** Give the elements of a DER value: tag and contents of each. */
function* elements(data) {
  for (let at = 0; at < data.length;) {
    const tag = data[at];
    let size = data[at + 1];
    let start = at + 2;
    if ((tag & 0x1f) === 0x1f || size === undefined) throw new BadToken('it is not DER');
    if (size & 0x80) {
      const count = size & 0x7f;
      if (count < 1 || count > 4) throw new BadToken('it is not DER');
      size = Number(big(data.subarray(start, start + count)));
      start += count;
    }
    at = start + size;
    if (at > data.length) throw new BadToken('it is cut short');
    yield [tag, data.subarray(start, at)];
  }
}

function next(parts, wanted) {
  const { value } = parts.next();
  if (!value || value[0] !== wanted) throw new BadToken('it is not built as a time stamp is');
  return value[1];
}

function only(data, wanted) {
  const parts = elements(data);
  const value = next(parts, wanted);
  if (!parts.next().done) throw new BadToken('something stands behind it');
  return value;
}

function readToken(data) {
  if (data.length > MAX_TOKEN) throw new BadToken('a time stamp is not so long');
  const answer = elements(only(data, 0x30));
  const status = elements(next(answer, 0x30));
  if (big(next(status, 0x02)) > 1n) throw new BadToken('the time stamp was not granted');
  const content = elements(next(answer, 0x30));
  if (hexOf(next(content, 0x06)) !== SIGNED_DATA)
    throw new BadToken('the time stamp is not signed');
  const signed = elements(only(next(content, 0xa0), 0x30));
  next(signed, 0x02);
  signed.next();
  const inner = elements(next(signed, 0x30));
  if (hexOf(next(inner, 0x06)) !== TST_INFO) throw new BadToken('what is signed is no time stamp');
  return readStatement(only(only(next(inner, 0xa0), 0x04), 0x30));
}

function readStatement(data) {
  const info = elements(data);
  next(info, 0x02);
  next(info, 0x06);
  const imprint = elements(next(info, 0x30));
  const algorithm = DIGESTS[hexOf(next(elements(next(imprint, 0x30)), 0x06))];
  const digest = next(imprint, 0x04);
  const number = next(info, 0x02);
  if (!algorithm) throw new BadToken('its hash is not known');
  const serial = BigInt.asIntN(8 * number.length, big(number)).toString();
  return { algorithm, digest, serial, at: readTime(next(info, 0x18)) };
}

function readTime(data) {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d*))?Z$/.exec(
    String.fromCharCode(...data),
  );
  if (!match) throw new BadToken('its time is none');
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const text = at.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  if (text !== match.slice(1, 7).join('')) throw new BadToken('its time is none');
  return at.getTime() * 1000 + Number(`${match[7] ?? ''}000000`.slice(0, 6));
}

/** Hold a shard's stamps against its checkpoint. Gives problems and the stamps that count. */
export async function verifyStamps(files, base, policy, head) {
  const out = { problems: [], stamps: [] };
  const wrong = (...told) => out.problems.push(problem('modified', ...told));
  const paths = consistencyPaths(files, base, wrong);
  for (const name of sorted(files.keys())) {
    if (!name.startsWith(`${base}stamps/`) || !name.endsWith('/checkpoint')) continue;
    try {
      const stamped = await readStamped(files.get(name), policy, head, paths);
      await readTokens(files, name.slice(0, -'checkpoint'.length), stamped, policy, out, wrong);
    } catch (error) {
      if (!(error instanceof BadNote)) throw error;
      wrong(name, error.message);
    }
  }
  return out;
}

function consistencyPaths(files, base, wrong) {
  const name = `${base}consistency.ndjson`;
  const paths = new Map();
  linesOf(files.get(name) ?? new Uint8Array()).lines.forEach((line, n) => {
    try {
      const value = parse(line);
      if (value.v !== 1) throw new BadRecord('$.v: this version is not known');
      if (value.t !== 'consistent') throw new BadRecord('$.t: not a line about consistency');
      readBy(formatOf('consistent'), value);
      paths.set(value.size, value.path.map(fromHex));
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      wrong(`${name} line ${n + 1}`, error.message);
    }
  });
  return paths;
}

async function readStamped(bytes, policy, head, paths) {
  const note = readNote(bytes);
  const stamped = readCheckpoint(note);
  const key = policy.log(head.origin);
  if (stamped.origin !== head.origin || !key || (await verifiedBy(note, key)) === null) {
    throw new BadNote(`not signed by the key of ${head.origin} that is trusted`);
  }
  const [first, second] = stamped.size <= head.size ? [stamped, head] : [head, stamped];
  const path = paths.get(stamped.size) ?? [];
  if (!verifyConsistency(first.size, second.size, first.root, second.root, path)) {
    throw new BadNote("is not of the history that the shard's checkpoint is of");
  }
  return stamped;
}

async function readTokens(files, folder, stamped, policy, out, wrong) {
  const message = files.get(`${folder}checkpoint`);
  for (const name of sorted(files.keys())) {
    if (!name.startsWith(folder) || !name.endsWith('.tsr')) continue;
    const authority = name.slice(folder.length, -'.tsr'.length);
    try {
      const token = readToken(files.get(name));
      const imprint = new Uint8Array(await crypto.subtle.digest(token.algorithm, message));
      if (hexOf(imprint) !== hexOf(token.digest)) {
        throw new BadToken('is not of the checkpoint beside it');
      }
      if (!policy.timestamps.has(authority)) continue;
      const { origin, size } = stamped;
      out.stamps.push({ origin, size, name: authority, at: token.at, serial: token.serial });
    } catch (error) {
      if (!(error instanceof BadToken)) throw error;
      wrong(name, error.message);
    }
  }
}

/** Hold the times that records state against when they can be shown to have been there. */
export function holdAgainstStamps(records, stamps, policy) {
  const out = { problems: [], unproven: [] };
  if (!policy.timestamps.size) return out;
  const bare = [];
  const late = [];
  for (const { where, origin, index, at } of records) {
    const times = stamps.filter((s) => s.origin === origin && s.size > index).map((s) => s.at);
    const first = times.reduce((a, b) => Math.min(a, b), Infinity);
    if (!times.length) {
      bare.push(where);
    } else if (first < at - EARLY_US) {
      const said = `says ${utcText(at)}, and was there by ${utcText(first)}`;
      out.problems.push(problem('inconsistent', where, said));
    } else if (first > at + LATE_US) {
      late.push(`${where} (${utcText(at)}, ${utcText(first)})`);
    }
  }
  const few = (items) => items.slice(0, 5).join(', ');
  if (bare.length) {
    const said = `no trusted time stamp covers ${few(bare)}`;
    out.unproven.push([`没有可信时间戳覆盖 ${few(bare)}`, said]);
  }
  if (late.length) {
    const said = `stamped more than a day after the time that they state: ${few(late)}`;
    out.unproven.push([`时间戳晚于所述时间一天以上: ${few(late)}`, said]);
  }
  return out;
}
