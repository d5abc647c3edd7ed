// Reading each file once, for every digest that anybody names for it.

import { BadMedia, fromHex, hexOf, joined, shownBytes } from './bytes.js';
import { hasher } from './hashes.js';
import { leafOf, rootFromDisclosed, rootOf } from './merkle.js';
import { endOf, startOf, utcText } from './records.js';

const PIECE_LIMIT = 256 * 1024 * 1024;

export function mediaPath(record) {
  const at = utcText(startOf(record)).replace(/[-:]/g, '');
  return `data/media/${record.stream}/${record.day}-${String(record.seq).padStart(6, '0')}-${at}.mp4`;
}

export const overlapping = (record, spans) =>
  spans.some(([from, to]) => from < endOf(record) && startOf(record) < to);

/** Takes bytes as they come; calls `onPiece` with the init and each fragment, whole. */
class Splitter {
  constructor(onPiece) {
    this.onPiece = onPiece;
    this.parts = [];
    this.length = 0;
    this.wanted = 8;
    this.count = 0;
    this.broken = '';
  }

  give(data) {
    if (this.broken) return;
    this.parts.push(data);
    this.length += data.length;
    if (this.length < this.wanted) return;
    let held = joined(this.parts);
    try {
      for (let size = this.pieceSize(held); size; size = this.pieceSize(held)) {
        this.onPiece(held.subarray(0, size));
        this.count++;
        held = held.subarray(size);
      }
    } catch (error) {
      if (!(error instanceof BadMedia)) throw error;
      this.broken = error.message;
      held = held.subarray(0, 0);
    }
    this.parts = held.length ? [held] : [];
    this.length = held.length;
  }

  end() {
    if (this.broken) return this.broken;
    if (!this.length) return this.count ? '' : 'the file is empty';
    try {
      this.pieceSize(joined(this.parts));
    } catch (error) {
      if (!(error instanceof BadMedia)) throw error;
      return error.message;
    }
    return 'the file ends within a box';
  }

  /** Give the size of the piece in front, or 0 and how much is needed to know. */
  pieceSize(held) {
    const kinds = this.count ? ['moof', 'mdat'] : ['ftyp', 'moov'];
    let at = 0;
    for (const kind of kinds) {
      const size = boxSize(held, at, kind);
      if (!size) {
        this.wanted = at + 16;
        return 0;
      }
      at += size;
    }
    this.wanted = at;
    return at <= held.length ? at : 0;
  }
}

/** Give a box's size; 0 if its header is not all there. */
function boxSize(held, at, kind) {
  if (held.length < at + 8) return 0;
  const view = new DataView(held.buffer, held.byteOffset + at, held.length - at);
  const found = held.subarray(at + 4, at + 8);
  if (String.fromCharCode(...found) !== kind) {
    throw new BadMedia(`a box ${kind} is needed, not ${shownBytes(found)}`);
  }
  let size = view.getUint32(0);
  let shortest = 8;
  if (size === 1) {
    if (held.length < at + 16) return 0;
    shortest = 16;
    size = Number(view.getBigUint64(8));
  }
  if (size < shortest || size > PIECE_LIMIT) {
    throw new BadMedia(`a box ${kind} of ${size} bytes cannot be`);
  }
  return size;
}

function disclosedRoot(disclosure, size, kept, name) {
  const numbers = [];
  const count = disclosure.kept.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  if (count !== kept.length) {
    throw new RangeError(`${count} pieces are announced, ${kept.length} are there`);
  }
  for (const [first, last] of disclosure.kept) {
    for (let n = first; n <= last; n++) numbers.push(n);
  }
  const shown = numbers.map((n, index) => [n, kept[index]]);
  return rootFromDisclosed(size, shown, disclosure.withheld[name].map(fromHex), name);
}

function againstRecord(record, disclosure, leaves, init) {
  const wrong = [];
  if (init !== record.init) wrong.push("its init is not the record's");
  for (const [name, found] of Object.entries(leaves)) {
    let got;
    try {
      if (disclosure) {
        got = disclosedRoot(disclosure, record.pieces, found, name);
      } else if (found.length !== record.pieces) {
        throw new RangeError(`${record.pieces} pieces are recorded, ${found.length} are there`);
      } else {
        got = rootOf(found, name);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      wrong.push(error.message);
      break;
    }
    if (hexOf(got) !== record.root[name]) {
      wrong.push(`the ${name} root of its pieces is not the record's`);
    }
  }
  return wrong;
}

/** Read a file and compare it. `names`: the hashes to take. `onBytes` hears of progress. */
export async function checkFile(file, task, names, onBytes) {
  const { record, disclosure, listed } = task;
  const finding = { sha256: '', kind: 'modified', wrong: [] };
  const whole = names.filter((name) => name === 'sha256' || name in listed);
  const hashes = whole.map((name) => [name, hasher(name)]);
  const leaves = Object.fromEntries(names.map((name) => [name, []]));
  let init = hexOf(hasher('sha256').digest());
  let first = true;
  const splitter = new Splitter((piece) => {
    if (first) init = hexOf(hasher('sha256').update(piece).digest());
    first = false;
    for (const name of names) leaves[name].push(leafOf(piece, name));
  });
  let size = 0;
  try {
    for await (const part of file.chunks()) {
      for (const [, hash] of hashes) hash.update(part);
      if (record) splitter.give(part);
      size += part.length;
      onBytes(part.length);
    }
  } catch (error) {
    return { ...finding, kind: 'unreadable', wrong: [error.message || error.name] };
  }
  const digests = Object.fromEntries(hashes.map(([name, hash]) => [name, hexOf(hash.digest())]));
  finding.sha256 = digests.sha256;
  const torn = record ? splitter.end() : '';
  if (torn) finding.wrong.push(torn);
  for (const [name, wanted] of Object.entries(listed)) {
    if (name in digests && digests[name] !== wanted) {
      finding.wrong.push(`${name} is not the manifest's`);
    }
  }
  if (!record) return finding;
  finding.wrong.push(...againstRecord(record, disclosure, leaves, init));
  if (!disclosure) {
    if (size !== record.file.bytes)
      finding.wrong.push(`${size} bytes, ${record.file.bytes} recorded`);
    if (finding.sha256 !== record.file.sha256) finding.wrong.push("sha256 is not the record's");
  }
  return finding;
}
