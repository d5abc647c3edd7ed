import { expect, test } from 'vitest';
import { groupOf } from '../src/lib/display';

test('tiles come in groups, round and round', () => {
  const all = [1, 2, 3, 4, 5];
  expect(groupOf(all, 2, 0)).toEqual({ tiles: [1, 2], count: 3, at: 0 });
  expect(groupOf(all, 2, 2)).toEqual({ tiles: [5], count: 3, at: 2 });
  expect(groupOf(all, 2, 3)).toEqual({ tiles: [1, 2], count: 3, at: 0 });
  expect(groupOf(all, 2, -1)).toEqual({ tiles: [5], count: 3, at: 2 });
});

test('what fits is one group, and nothing is one that is empty', () => {
  expect(groupOf([1, 2], 16, 7)).toEqual({ tiles: [1, 2], count: 1, at: 0 });
  expect(groupOf([], 16, 0)).toEqual({ tiles: [], count: 1, at: 0 });
});
