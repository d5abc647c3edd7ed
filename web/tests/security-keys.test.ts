import { describe, expect, it } from 'vitest';
import { keysWork, toBytes, toText } from '../src/lib/security-keys';

describe('bytes as text', () => {
  it('goes there and back without padding or signs that an address has its own use for', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const text = toText(bytes.buffer);
    expect(text).not.toMatch(/[+/=]/);
    expect([...toBytes(text)]).toEqual([...bytes]);
    expect(toText(toBytes('-_8').buffer)).toBe('-_8');
  });
});

describe('where keys work', () => {
  it('is not at a bare address', () => {
    for (const hostname of ['127.0.0.1', '10.0.0.7', '[::1]']) {
      expect(keysWork({ hostname } as Location)).toBe(false);
    }
  });
});
