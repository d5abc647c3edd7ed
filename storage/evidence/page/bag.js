// A bag (RFC 8493) out of a folder or a zip that the reader has picked. Files are read in parts.

import { Unreadable, decoded, linesOf, same, shownText, sorted } from './bytes.js';

export const CHUNK = 1 << 20;
const MAX_ENTRIES = 500000;
const MAX_TEXT = 256 * 1024 * 1024;
const MAX_RATIO = 1000;
const MANIFESTS = { sha256: 'manifest-sha256.txt', sm3: 'manifest-sm3.txt' };
export const TAG_MANIFEST = 'tagmanifest-sha256.txt';
const SM3_LIST = 'digests-sm3.txt';

/** A file by its size and its bytes, part by part. */
class Stored {
  constructor(blob, size = blob.size) {
    this.blob = blob;
    this.size = size;
  }

  async *chunks() {
    for (let at = 0; at < this.blob.size; at += 4 * CHUNK) {
      yield new Uint8Array(await this.blob.slice(at, at + 4 * CHUNK).arrayBuffer());
    }
  }
}

class Packed extends Stored {
  async *chunks() {
    const unpacked = this.blob.stream().pipeThrough(new DecompressionStream('deflate-raw'));
    const reader = unpacked.getReader();
    let left = this.size;
    for (;;) {
      const { done, value } = await reader.read();
      if (done || !left) break;
      yield value.subarray(0, left);
      left -= Math.min(left, value.length);
    }
    if (left) throw new RangeError('its end is missing');
  }
}

function checked(name) {
  const parts = name.split('/');
  if (name.startsWith('/') || /[\\\0]/.test(name) || parts[0].includes(':')) {
    throw new Unreadable(`the name ${shownText(name)} leads outside the bag`);
  }
  if (parts.some((part) => ['', '.', '..'].includes(part)) || [...name].length > 1024) {
    throw new Unreadable(`the name ${shownText(name)} leads outside the bag`);
  }
  return name;
}

/** Open what was picked: `[[path, File]]` of a folder. Gives the bag's files by their names. */
export function openFolder(picked) {
  const bases = picked
    .filter(([path]) => path === 'bagit.txt' || path.endsWith('/bagit.txt'))
    .map(([path]) => path.slice(0, -'bagit.txt'.length))
    .sort((a, b) => a.length - b.length);
  const depth = (base) => base.split('/').length;
  const base = bases[0];
  if (base === undefined || bases.filter((other) => depth(other) === depth(base)).length !== 1) {
    throw new Unreadable('this folder is no bag and does not hold exactly one');
  }
  const files = new Map();
  for (const [path, file] of picked) {
    if (path.startsWith(base)) files.set(checked(path.slice(base.length)), new Stored(file));
  }
  if (files.size > MAX_ENTRIES) throw new Unreadable('too many files');
  return files;
}

const broken = (why) => new Unreadable(`cannot be read: ${why}`);

async function bytesAt(blob, at, length) {
  if (at < 0 || at + length > blob.size) throw broken('it is cut short');
  try {
    return new DataView(await blob.slice(at, at + length).arrayBuffer());
  } catch (error) {
    // The file went away or changed while it was read.
    throw broken(error.message || error.name);
  }
}

/** Find the central directory: where it is, how long, and what lies before the archive. */
async function directoryOf(zip) {
  const reach = Math.min(zip.size, 65557);
  const tail = await bytesAt(zip, zip.size - reach, reach);
  let at = reach - 22;
  while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw broken('File is not a zip file');
  let [size, offset] = [tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  let end = zip.size - reach + at;
  if (end >= 20) {
    const locator = await bytesAt(zip, end - 20, 20);
    if (locator.getUint32(0, true) === 0x07064b50) {
      const record = await bytesAt(zip, end - 76, 56);
      if (record.getUint32(0, true) === 0x06064b50) {
        size = Number(record.getBigUint64(40, true));
        offset = Number(record.getBigUint64(48, true));
        end -= 76;
      }
    }
  }
  const before = end - size - offset;
  if (before < 0) throw broken('Bad offset for central directory');
  if (size > MAX_TEXT) throw new Unreadable('too many files');
  return { view: await bytesAt(zip, offset + before, size), before };
}

function readEntry(view, at) {
  if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50) {
    throw broken('Bad magic number for central directory');
  }
  const u16 = (n) => view.getUint16(at + n, true);
  const u32 = (n) => view.getUint32(at + n, true);
  const entry = { flags: u16(8), method: u16(10), packed: u32(20), size: u32(24), offset: u32(42) };
  const end = at + 46 + u16(28) + u16(30) + u16(32);
  if (end > view.byteLength) throw broken('Truncated central directory');
  const raw = new Uint8Array(view.buffer, view.byteOffset + at + 46, u16(28));
  entry.mode = u32(38) >>> 16;
  entry.raw = raw;
  try {
    entry.name = entry.flags & 0x800 ? decoded(raw) : String.fromCharCode(...raw);
  } catch {
    throw broken('a name in it is no text');
  }
  entry.name = entry.name.split('\0')[0];
  readWide(view, at + 46 + u16(28), u16(30), entry);
  return { entry, end };
}

/** What did not fit into 32 bits stands in an extra field, in this order. */
function readWide(view, at, length, entry) {
  for (const end = at + length; at + 4 <= end;) {
    const [kind, size] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (at + 4 + size > end) throw broken('a corrupt extra field');
    let from = at + 4;
    if (kind === 1) {
      for (const key of ['size', 'packed', 'offset']) {
        if (entry[key] !== 0xffffffff) continue;
        if (from + 8 > at + 4 + size) throw broken('Corrupt zip64 extra field');
        entry[key] = Number(view.getBigUint64(from, true));
        from += 8;
      }
    }
    at += 4 + size;
  }
}

function fileOf(zip, entry, before) {
  const at = entry.offset + before;
  const open = async () => {
    const head = await bytesAt(zip, at, 30);
    if (head.getUint32(0, true) !== 0x04034b50)
      throw new RangeError('Bad magic number for file header');
    if (entry.flags & 0x20) throw new RangeError('compressed patched data (flag bit 5)');
    if (entry.flags & 0x40) throw new RangeError('strong encryption (flag bit 6)');
    const inside = new Uint8Array((await bytesAt(zip, at + 30, head.getUint16(26, true))).buffer);
    if (!same(inside, entry.raw)) throw new RangeError('its name within is another');
    const from = at + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    if (from + entry.packed > zip.size) throw new RangeError('it is cut short');
    return zip.slice(from, from + entry.packed);
  };
  const kind = entry.method === 8 ? Packed : Stored;
  return {
    size: entry.size,
    async *chunks() {
      yield* new kind(await open(), entry.size).chunks();
    },
  };
}

/** Open a zip with one bag in it. Gives the bag's files by their names. */
export async function openZip(zip) {
  const { view, before } = await directoryOf(zip);
  const files = new Map();
  for (let at = 0; at < view.byteLength;) {
    const { entry, end } = readEntry(view, at);
    at = end;
    if (entry.name.endsWith('/')) continue;
    const name = checked(entry.name);
    if ((entry.mode & 0xf000) === 0xa000 || entry.flags & 1) {
      throw new Unreadable(`${name} is a link or encrypted`);
    }
    if (entry.method !== 0 && entry.method !== 8) {
      throw new Unreadable(`${name} is packed in a way that is not read here`);
    }
    if (entry.size > CHUNK && entry.size > MAX_RATIO * Math.max(entry.packed, 1)) {
      throw new Unreadable(`${name} grows beyond reason when unpacked`);
    }
    if (files.has(name)) throw new Unreadable(`${name} is there twice`);
    files.set(name, fileOf(zip, entry, before));
    if (files.size > MAX_ENTRIES) throw new Unreadable('too many files');
  }
  if (files.has('bagit.txt')) return files;
  const tops = new Set([...files.keys()].map((name) => name.split('/', 1)[0]));
  if (tops.size !== 1) throw new Unreadable('this archive does not hold exactly one bag');
  const above = [...tops][0].length + 1;
  return new Map([...files].map(([name, file]) => [name.slice(above), file]));
}

/** Give a whole small file. Throws Unreadable. */
export async function textOf(files, name) {
  const file = files.get(name);
  if (!file) throw new Unreadable(`${name} is missing`);
  if (file.size > MAX_TEXT) throw new Unreadable(`${name} is too big`);
  const out = new Uint8Array(file.size);
  let at = 0;
  try {
    for await (const part of file.chunks()) {
      out.set(part, at);
      at += part.length;
    }
  } catch (error) {
    throw new Unreadable(`${name} cannot be read: ${error.message}`);
  }
  return out.subarray(0, at);
}

function textLines(bytes) {
  let text;
  try {
    text = decoded(bytes);
  } catch {
    throw new Unreadable('a text of the bag is not UTF-8');
  }
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .filter((line) => line);
}

function readManifest(bytes) {
  const entries = new Map();
  for (const line of textLines(bytes)) {
    const match = /^([0-9a-fA-F]{64})[ \t]+\*?(.+)$/s.exec(line);
    if (!match) {
      throw new Unreadable(
        `a line of a manifest is not one: ${shownText([...line].slice(0, 80).join(''))}`,
      );
    }
    const name = match[2].replace(/%(0[dD]|0[aA]|25)/g, (_, code) =>
      String.fromCharCode(parseInt(code, 16)),
    );
    if (entries.has(checked(name))) throw new Unreadable(`a manifest lists ${name} twice`);
    entries.set(name, match[1].toLowerCase());
  }
  return entries;
}

function readInfo(bytes) {
  const info = {};
  let label = '';
  for (const line of textLines(bytes)) {
    const colon = line.indexOf(':');
    if (/^[ \t]/.test(line) && label) {
      info[label] += ` ${line.trim()}`;
    } else if (colon < 0) {
      throw new Unreadable(`a line of bag-info.txt is not one: ${shownText(line.slice(0, 80))}`);
    } else {
      label = line.slice(0, colon);
      info[label] = line.slice(colon + 1).trim();
    }
  }
  return info;
}

/** Read what a bag says of itself. */
export async function readBag(files) {
  const [declared] = textLines(await textOf(files, 'bagit.txt'));
  if (!['BagIt-Version: 1.0', 'BagIt-Version: 0.97'].includes(declared)) {
    throw new Unreadable('bagit.txt does not declare a version that is known');
  }
  const manifests = {};
  for (const [name, file] of Object.entries(MANIFESTS)) {
    if (files.has(file)) manifests[name] = readManifest(await textOf(files, file));
  }
  if (!manifests.sha256) throw new Unreadable(`${MANIFESTS.sha256} is missing`);
  const tagBytes = await textOf(files, TAG_MANIFEST);
  const tags = readManifest(tagBytes);
  const sm3 = files.has(SM3_LIST) ? readManifest(await textOf(files, SM3_LIST)) : new Map();
  const info = readInfo(await textOf(files, 'bag-info.txt'));
  const names = [...files.keys()];
  const payload = names.filter((name) => name.startsWith('data/'));
  const all = Object.values(manifests);
  const every = new Set([...tags.keys(), ...sm3.keys(), ...all.flatMap((m) => [...m.keys()])]);
  return {
    files,
    tagBytes,
    info,
    payload,
    missing: sorted([...every].filter((name) => !files.has(name))),
    unlisted: sorted(payload.filter((name) => all.some((manifest) => !manifest.has(name)))),
    strangers: sorted(
      names.filter((n) => !n.startsWith('data/') && n !== TAG_MANIFEST && !tags.has(n)),
    ),
    listed(name) {
      const found = {};
      for (const [hash, manifest] of Object.entries(manifests)) {
        if (manifest.has(name)) found[hash] = manifest.get(name);
      }
      if (sm3.has(name) && !found.sm3) found.sm3 = sm3.get(name);
      if (!Object.keys(found).length && tags.has(name)) found.sha256 = tags.get(name);
      return found;
    },
  };
}

/** Give the lines of a file with their places; `wrong(kind, where, detail)` hears what is not. */
export async function fileLines(files, name, wrong) {
  let bytes;
  try {
    bytes = await textOf(files, name);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    wrong('unreadable', name, error.message);
    return [];
  }
  const { lines, whole } = linesOf(bytes);
  if (!whole) wrong('modified', name, 'its last line does not end');
  return lines.map((line, n) => [`${name} line ${n + 1}`, line]);
}
