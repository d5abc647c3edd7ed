// Bytes as hex, base64 and text; errors that say what does not fit.

export class BadRecord extends Error {}
export class Unreadable extends Error {}
export class BadNote extends Error {}
export class BadPolicy extends Error {}
export class BadToken extends Error {}
export class BadMedia extends Error {}

const HEX = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'));
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

export const hexOf = (bytes) => Array.from(bytes, (n) => HEX[n]).join('');
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (p) => parseInt(p, 16));
export const encoded = (text) => ENCODER.encode(text);
export const big = (bytes) => bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);

/** Give a text; throws TypeError for what is not UTF-8. */
export const decoded = (bytes) => STRICT.decode(bytes);

export function joined(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);

/** Give the bytes of a text in the one form that base64 has for them. Throws BadNote. */
export function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) throw new BadNote('not base64');
  const binary = atob(text);
  if (btoa(binary) !== text) throw new BadNote('not the one base64 form of these bytes');
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

/** Give lines with their numbers, and whether the last one ends. */
export function linesOf(bytes) {
  const lines = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return { lines, whole: start === bytes.length };
}

/** Like Python's repr of a short text, for messages. */
export function shownText(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  return quote + text.replace(/\\/g, '\\\\') + quote;
}

/** Like Python's ascii() of the first eighty characters of a text, for messages. */
export function shownAscii(text) {
  const escape = (c) => {
    const code = c.codePointAt(0);
    if (code < 256) return `\\x${HEX[code]}`;
    const hex = code.toString(16);
    return code < 65536 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
  };
  const short = Array.from(text).slice(0, 80).join('');
  return shownText(short).replace(/[^ -~]/gu, escape);
}

/** Like Python's repr of a few bytes. */
export function shownBytes(bytes) {
  const named = { 9: '\\t', 10: '\\n', 13: '\\r', 92: '\\\\' };
  const shown = (n) => named[n] ?? (n < 32 || n > 126 ? `\\x${HEX[n]}` : String.fromCharCode(n));
  const text = Array.from(bytes, shown).join('');
  return text.includes("'") && !text.includes('"')
    ? `b"${text}"`
    : `b'${text.replaceAll("'", "\\'")}'`;
}

export const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
export const sorted = (items) => [...items].sort(compare);
