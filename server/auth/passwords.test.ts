import { describe, expect, test, vi } from 'vitest';
import { hashPassword, verifyPassword } from './passwords.ts';

// A guess is meant to cost a good part of a second, and more on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

describe('a password at rest', () => {
  test('opens with itself and with nothing else', async () => {
    const stored = await hashPassword('correct horse battery');
    expect(await verifyPassword('correct horse battery', stored)).toBe(true);
    for (const other of ['correct horse batterY', 'correct horse battery ', '', stored]) {
      expect(await verifyPassword(other, stored)).toBe(false);
    }
  });

  test('is never stored as it is, nor twice alike', async () => {
    const [one, two] = await Promise.all([hashPassword('the same'), hashPassword('the same')]);
    expect(one).toMatch(/^scrypt\$32768\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
    expect(one).not.toContain('the same');
    expect(one).not.toBe(two);
  });

  test('is the same word however a keyboard composes its letters', async () => {
    const stored = await hashPassword('pru\u0308fung 2026');
    expect(await verifyPassword('pr\u00fcfung 2026', stored)).toBe(true);
  });

  test('what is no hash of ours opens to nobody', async () => {
    for (const stored of ['', 'plain text', '$2b$10$abcdefghijklmnopqrstuv', 'scrypt$32768$8$3$$']) {
      expect(await verifyPassword('plain text', stored)).toBe(false);
    }
  });
});
