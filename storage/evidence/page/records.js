// Canonical bytes, and records read strictly by the declarations that came with this page.

import { BadRecord, decoded, encoded, hexOf, same, shownText } from './bytes.js';
import { digestOf } from './hashes.js';

const DEPTH = 32;
const LIMIT = 2 ** 53;
const EARLIEST = 1;
/** @type {any} */
let FORMAT = null;

/** Take the declarations: `{rules, records, entries, …}` as the verifier in Python has them. */
export function useFormat(format) {
  FORMAT = format;
}

export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

const isAscii = (text) => /^[\x00-\x7f]*$/.test(text);
// A surrogate without its other half is no text.
const isText = (text) => !/\p{Surrogate}/u.test(text);

function check(value, path, depth) {
  if (depth > DEPTH) throw new BadRecord(`${path}: nested too deeply`);
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || Math.abs(value) >= LIMIT) {
      throw new BadRecord(`${path}: a whole number must be below 2**53`);
    }
  } else if (typeof value === 'string') {
    if (!isText(value)) throw new BadRecord(`${path}: a lone surrogate is not text`);
  } else if (Array.isArray(value)) {
    value.forEach((item, n) => check(item, `${path}[${n}]`, depth + 1));
  } else if (value !== null && typeof value === 'object') {
    for (const key of Object.keys(value)) {
      if (!isAscii(key)) {
        throw new BadRecord(`${path}: keys must be ASCII text, not ${shownText(key)}`);
      }
      check(value[key], `${path}.${key}`, depth + 1);
    }
  }
}

/** Read one canonical object. Throws BadRecord for anything else, whatever the bytes are. */
export function parse(bytes) {
  let value;
  try {
    value = JSON.parse(decoded(bytes));
  } catch (error) {
    const kind = error instanceof TypeError ? 'UnicodeDecodeError' : 'JSONDecodeError';
    throw new BadRecord(`$: not JSON in UTF-8 (${kind})`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new BadRecord('$: an object is needed');
  }
  check(value, '$', 0);
  if (!same(encoded(canonical(value)), bytes)) {
    throw new BadRecord('$: the bytes are not in canonical form');
  }
  return value;
}

const between = (low, high) => (n) => Number.isInteger(n) && n >= low && n < high;
const matching = (pattern) => (text) => typeof text === 'string' && pattern.test(text);
const RULES = {
  Hex32: matching(/^[0-9a-f]{64}$/),
  Hex64: matching(/^[0-9a-f]{128}$/),
  Name: matching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/),
  Word: matching(/^[a-z][a-z0-9_]{0,63}$/),
  Day: matching(/^[0-9]{8}$/),
  Text: (text) => typeof text === 'string' && [...text].length <= 4096,
  Ticks: between(1 - LIMIT, LIMIT),
  Count: between(0, LIMIT),
  Positive: between(1, LIMIT),
  Micros: between(0, 7258118400000000),
};

/** Hold a value against a declaration; gives the path and words of what does not fit, or nothing. */
function misfit(declared, value) {
  if (typeof declared === 'string') {
    return RULES[declared](value) ? '' : `: must be ${FORMAT.rules[declared]}`;
  }
  const [kind, ...inner] = declared;
  if (kind === '?') return value === null ? '' : misfit(inner[0], value);
  if (kind === '*' || kind === '=') {
    const wanted = kind === '=' ? inner.length : -1;
    if (!Array.isArray(value) || (wanted >= 0 && value.length !== wanted)) {
      return wanted >= 0 ? `: a list of ${wanted} is needed` : ': a list is needed';
    }
    for (let n = 0; n < value.length; n++) {
      const found = misfit(inner[wanted >= 0 ? n : 0], value[n]);
      if (found) return `[${n}]${found}`;
    }
    return '';
  }
  return misfitObject(inner[0], value);
}

function misfitObject(fields, value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return ': an object is needed';
  }
  const rest = new Set(Object.keys(value));
  for (const [name, declared, optional] of fields) {
    if (!rest.delete(name)) {
      if (!optional) return `.${name}: is missing`;
      continue;
    }
    if (value[name] === null && optional) return `.${name}: leave the key out instead of null`;
    const found = misfit(declared, value[name]);
    if (found) return `.${name}${found}`;
  }
  return rest.size ? `: unknown key ${shownText([...rest].sort()[0])}` : '';
}

/** Read an object by a declaration of the format, of which it holds `v` and `t` beside. */
export function readBy(declared, value, drop = ['v', 't']) {
  const rest = { ...value };
  for (const key of drop) delete rest[key];
  const found = misfit(declared, rest) || '';
  if (found) throw new BadRecord(`$${found}`);
  return value;
}

export function formatOf(name) {
  return FORMAT[name];
}

export const utcDay = (us) =>
  new Date(Math.floor(us / 1000)).toISOString().slice(0, 10).replace(/-/g, '');
/** Give an instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`, rounded down. */
export const utcText = (us) => new Date(Math.floor(us / 1000)).toISOString();

export const startOf = (record) => (record.t === 'segment' ? record.wall[0] : record.from);
export const endOf = (record) => (record.t === 'segment' ? record.wall[1] : record.to);

function checkTime(record) {
  if (endOf(record) - startOf(record) < EARLIEST) {
    throw new BadRecord('$: the end must be after the start');
  }
  if (record.day < utcDay(startOf(record))) {
    throw new BadRecord(`$: day: ${record.day} is before the record's own start`);
  }
}

function checkSegment(record) {
  const stated = record.g711;
  if (stated && stated.negative_zeros.length !== stated.sha256.length) {
    throw new BadRecord('$.g711: g711: needs one list of negative zeros for each digest');
  }
  checkTime(record);
  const ids = record.tracks.map((track) => track.id);
  const used = record.media.map((media) => media.track);
  if (!ids.length || new Set(ids).size !== ids.length) {
    throw new BadRecord('$: tracks: at least one, each with its own id');
  }
  if (new Set(used).size !== used.length || used.some((id) => !ids.includes(id))) {
    throw new BadRecord('$: media: one entry a track, of tracks that are listed');
  }
}

/** Read any record of a stream or session from an object. */
export function readRecord(value) {
  if (value.v !== 1) throw new BadRecord('$.v: this version is not known');
  const declared = Object.hasOwn(FORMAT.records, value.t) ? FORMAT.records[value.t] : null;
  if (typeof value.t !== 'string' || !declared) {
    throw new BadRecord('$.t: this kind of record is not known');
  }
  readBy(declared, value);
  if (value.t === 'segment') checkSegment(value);
  if (value.t === 'gap') checkTime(value);
  return value;
}

export const isOfStream = (record) => record.t === 'segment' || record.t === 'gap';

export function sessionGenesis(session) {
  return hexOf(digestOf('sha256', encoded(canonical({ v: 1, t: 'genesis', session }))));
}

/** Read a line that says of which pieces a part is. */
export function readDisclosure(bytes) {
  const value = parse(bytes);
  if (value.v !== 1 || value.t !== 'disclosure') {
    throw new BadRecord('$.t: not a disclosure of a known version');
  }
  readBy(FORMAT.disclosure, value);
  let last = -1;
  for (const [first, final] of value.kept) {
    if (!(last < first && first <= final)) {
      throw new BadRecord('$: kept: ranges must ascend and not overlap');
    }
    last = final;
  }
  return value;
}
