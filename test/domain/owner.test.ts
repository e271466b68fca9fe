import { expect, test } from 'vitest';
import { ownerText, readOwner } from '../../src/domain/owner.ts';

test.each([
  [{ incarnation: 'aB-_', address: null }, 'aB-_'],
  [{ incarnation: 'aB-_', address: '10.0.0.3:8082' }, 'aB-_@10.0.0.3:8082'],
  [{ incarnation: 'aB-_', address: '[fd00::3]:8082' }, 'aB-_@[fd00::3]:8082'],
])('%o is %s, and comes back as it was', (owner, text) => {
  expect(ownerText(owner)).toBe(text);
  expect(readOwner(text)).toEqual(owner);
});
