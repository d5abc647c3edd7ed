import { expect, test } from 'vitest';
import { modeChange, otherMode } from '../src/lib/modes';

test('a camera is offered the mode it is not in', () => {
  expect(otherMode({ mode: 'continuous' })).toBe('session');
  expect(otherMode({ mode: 'session' })).toBe('continuous');
});

test('the exception is sent with its reason and not without, the rule needs none', () => {
  expect(modeChange('session', ' \u3000 ')).toBeNull();
  expect(modeChange('session', ' 走廊，平时无业务 ')).toEqual({
    mode: 'session',
    mode_reason: '走廊，平时无业务',
  });
  expect(modeChange('continuous', 'a reason left in the field')).toEqual({ mode: 'continuous' });
});
