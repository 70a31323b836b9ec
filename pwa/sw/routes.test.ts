import { expect, test } from 'vitest';
import { isPageRequest } from './routes.ts';

const ORIGIN = 'https://sheaf.example';
const asked = (path: string, more: Partial<Request> = {}) =>
  isPageRequest({ method: 'GET', mode: 'navigate', url: new URL(path, ORIGIN).href, ...more }, ORIGIN);

test('pages of the app are answered from the shell', () => {
  expect(['/', '/queue', '/batches/42', '/nowhere'].map((path) => asked(path))).toEqual([true, true, true, true]);
});

test('what is the server’s stays the server’s', () => {
  const paths = ['/api/openapi.json', '/api/batches/1/stream', '/admin/queues', '/healthz', '/metrics'];
  expect(paths.map((path) => asked(path))).toEqual(paths.map(() => false));
});

test('uploads, fetches and other sites are left alone', () => {
  expect(asked('/', { method: 'POST' })).toBe(false);
  expect(asked('/', { mode: 'cors' })).toBe(false);
  expect(asked('https://other.example/')).toBe(false);
});
