import { expect, test } from 'vitest';
import type { Me } from '../src/api/types';
import { marked } from '../src/lib/watermark';

const wang: Me = {
  username: 'wang',
  name: '王监督',
  roles: ['supervisor'],
  must_change_password: false,
  must_enrol: false,
  department: '住建局',
  address: '10.0.0.7',
};

test('a watermark names viewer, department, address and time', () => {
  expect(marked(wang, '2026-11-23 20:00')).toBe('王监督  wang  住建局  10.0.0.7  2026-11-23 20:00');
});

test('what is not known is left out, and nothing is said twice', () => {
  const plain = { ...wang, name: 'wang', department: '' };
  expect(marked(plain, 't')).toBe('wang  10.0.0.7  t');
  expect(marked(null, 't')).toBe('t');
});
