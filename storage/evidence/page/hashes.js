// SHA-256 and SM3 (GB/T 32905), bit by bit: the browser's own takes no file in parts, and no SM3.

const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const SHA_START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const SM3_START = [
  0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e,
];

const turned = (x, n) => (x << n) | (x >>> (32 - n));

// A round's constant, turned by the round's number.
const T = Int32Array.from({ length: 64 }, (_, j) =>
  turned(j < 16 ? 0x79cc4519 : 0x7a879d8a, j % 32),
);

/** What both have in common: blocks of 64 bytes, the length in bits at the end. */
class Blocks {
  constructor(start) {
    this.state = Int32Array.from(start);
    this.held = new Uint8Array(64);
    this.filled = 0;
    this.length = 0;
    this.words = new Int32Array(68);
  }

  update(data) {
    this.length += data.length;
    let at = 0;
    if (this.filled) {
      at = Math.min(64 - this.filled, data.length);
      this.held.set(data.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < 64) return this;
      this.block(this.held, 0);
      this.filled = 0;
    }
    for (; at + 64 <= data.length; at += 64) this.block(data, at);
    this.held.set(data.subarray(at));
    this.filled = data.length - at;
    return this;
  }

  /** Take one block into the state: each hash in its own way. */
  block(_data, _at) {}

  digest() {
    const bits = this.length * 8;
    const pad = new Uint8Array((this.filled < 56 ? 64 : 128) - this.filled);
    pad[0] = 0x80;
    const view = new DataView(pad.buffer);
    view.setUint32(pad.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(pad.length - 4, bits >>> 0);
    this.update(pad);
    const out = new DataView(new ArrayBuffer(32));
    this.state.forEach((word, n) => out.setInt32(4 * n, word));
    return new Uint8Array(out.buffer);
  }

  load(data, at) {
    const w = this.words;
    for (let j = 0; j < 16; j++, at += 4) {
      w[j] = (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
    }
    return w;
  }
}

class Sha256 extends Blocks {
  constructor() {
    super(SHA_START);
  }

  block(data, at) {
    // Written out, word by word: lists here would cost several times the arithmetic.
    const w = this.load(data, at);
    for (let j = 16; j < 64; j++) {
      const x = w[j - 15];
      const y = w[j - 2];
      const s0 = turned(x, 25) ^ turned(x, 14) ^ (x >>> 3);
      const s1 = turned(y, 15) ^ turned(y, 13) ^ (y >>> 10);
      w[j] = (w[j - 16] + s0 + w[j - 7] + s1) | 0;
    }
    const s = this.state;
    let a = s[0];
    let b = s[1];
    let c = s[2];
    let d = s[3];
    let e = s[4];
    let f = s[5];
    let g = s[6];
    let h = s[7];
    for (let j = 0; j < 64; j++) {
      const s1 = turned(e, 26) ^ turned(e, 21) ^ turned(e, 7);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[j] + w[j]) | 0;
      const s0 = turned(a, 30) ^ turned(a, 19) ^ turned(a, 10);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    s[0] += a;
    s[1] += b;
    s[2] += c;
    s[3] += d;
    s[4] += e;
    s[5] += f;
    s[6] += g;
    s[7] += h;
  }
}

class Sm3 extends Blocks {
  constructor() {
    super(SM3_START);
  }

  block(data, at) {
    const w = this.load(data, at);
    for (let j = 16; j < 68; j++) {
      const x = w[j - 16] ^ w[j - 9] ^ turned(w[j - 3], 15);
      w[j] = x ^ turned(x, 15) ^ turned(x, 23) ^ turned(w[j - 13], 7) ^ w[j - 6];
    }
    const s = this.state;
    let a = s[0];
    let b = s[1];
    let c = s[2];
    let d = s[3];
    let e = s[4];
    let f = s[5];
    let g = s[6];
    let h = s[7];
    for (let j = 0; j < 64; j++) {
      const a12 = turned(a, 12);
      const ss1 = turned((a12 + e + T[j]) | 0, 7);
      const ff = j < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
      const gg = j < 16 ? e ^ f ^ g : (e & f) | (~e & g);
      const tt1 = (ff + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) | 0;
      const tt2 = (gg + h + ss1 + w[j]) | 0;
      d = c;
      c = turned(b, 9);
      b = a;
      a = tt1;
      h = g;
      g = turned(f, 19);
      f = e;
      e = tt2 ^ turned(tt2, 9) ^ turned(tt2, 17);
    }
    s[0] ^= a;
    s[1] ^= b;
    s[2] ^= c;
    s[3] ^= d;
    s[4] ^= e;
    s[5] ^= f;
    s[6] ^= g;
    s[7] ^= h;
  }
}

/** Begin a hash: `sha256` or `sm3`. */
export const hasher = (name) => (name === 'sm3' ? new Sm3() : new Sha256());

export function digestOf(name, ...parts) {
  const hash = hasher(name);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
