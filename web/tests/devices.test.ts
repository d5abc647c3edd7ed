import { describe, expect, it } from 'vitest';
import { deviceName } from '../src/lib/devices';

describe('the name of a device', () => {
  it.each([
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0 Safari/537.36 Edg/144.0',
      'Edge · Windows',
    ],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0 Safari/537.36',
      'Chrome · Linux',
    ],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) Version/17.0 Safari/605.1.15', 'Safari · macOS'],
    ['python-httpx/0.28.1', 'python-httpx/0.28.1'],
    [null, ''],
  ])('%s', (agent, name) => {
    expect(deviceName(agent)).toBe(name);
  });
});
