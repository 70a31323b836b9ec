// Multipart bodies through a real server and real sockets: what a handler is given, and what its caller is told when it
// stops.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RequestRefused } from '../problem.ts';
import { type IncomingFile, receiveFiles } from './multipart.ts';

type Handler = (file: IncomingFile, fields: Record<string, unknown>) => Promise<unknown>;
let handle: Handler;
let server: http.Server;
let url: string;
let seen: Promise<unknown>;

beforeAll(async () => {
  const app = express();
  app.post('/', async (req, res) => {
    seen = receiveFiles(req, res, (file, fields) => handle(file, fields), 'CHUNK_HASH_MISMATCH').then(
      (result) => result,
      (error: Error) =>
        error instanceof RequestRefused ? { refused: error.code, detail: error.message } : { refused: error.message },
    );
    res.json(await seen);
  });
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  handle = async ({ field, name, stream }, fields) => {
    let bytes = 0;
    for await (const piece of stream) bytes += (piece as Buffer).length;
    return { field, name, bytes, fields };
  };
});

const blob = (bytes: number): Blob => new Blob([new Uint8Array(bytes)]);
const post = async (parts: [name: string, value: string | Blob, file?: string][]): Promise<unknown> => {
  const body = new FormData();
  for (const [name, value, file] of parts) {
    if (typeof value === 'string') body.append(name, value);
    else body.append(name, value, file);
  }
  return (await fetch(url, { method: 'POST', body })).json();
};

test('a file is handed over with the fields that came before it; all fields are there at the end', async () => {
  const answer = await post([
    ['a', '1'],
    ['one', blob(100_000), 'ünë.jpg'],
    ['b', '2'],
    ['two', blob(10), '../two.jpg'],
    ['c', '3'],
  ]);
  expect(answer).toEqual({
    files: [
      { field: 'one', name: 'ünë.jpg', bytes: 100_000, fields: { a: '1' } },
      { field: 'two', name: 'two.jpg', bytes: 10, fields: { a: '1', b: '2' } },
    ],
    fields: { a: '1', b: '2', c: '3' },
  });
});

test('many files are handed over one after the other, in their order', async () => {
  let open = 0;
  const order: string[] = [];
  handle = async ({ name, stream }) => {
    expect(++open).toBe(1);
    for await (const _ of stream) await new Promise((resolve) => setImmediate(resolve));
    open--;
    order.push(name);
  };
  const names = Array.from({ length: 20 }, (_, i) => `${i}.jpg`);
  await post(names.map((name) => ['files', blob(20_000), name]));
  expect(order).toEqual(names);
});

test.each([
  ['before it reads', 0],
  ['in the middle', 100_000],
])('a handler that stops %s is the reason, each time, and the connection can be used again', async (_, after) => {
  handle = async ({ stream }) => {
    let bytes = 0;
    if (after === 0) throw new Error('not this one');
    for await (const piece of stream) {
      bytes += (piece as Buffer).length;
      if (bytes > after) throw new Error('not this one');
    }
  };
  for (let time = 0; time < 20; time++) {
    expect(
      await post([
        ['file', blob(500_000), 'a.jpg'],
        ['file', blob(100), 'b.jpg'],
      ]),
    ).toEqual({ refused: 'not this one' });
  }
});

test('a body that breaks off ends the handler and the request with an error', async () => {
  let handled: Promise<string> = Promise.resolve('not called');
  handle = ({ stream }) => {
    const read = (async () => {
      for await (const _ of stream);
    })();
    handled = read.then(
      () => 'read to its end',
      () => 'broken',
    );
    return read;
  };
  const request = http.request(url, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b', 'content-length': '100000' },
  });
  request.on('error', () => undefined);
  request.write('--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nsome bytes');
  await once(server, 'request');
  await new Promise((resolve) => setTimeout(resolve, 50));
  request.destroy();
  expect(await seen).toMatchObject({ refused: expect.any(String) });
  expect(await handled).toBe('broken');
});

test.each([
  ['whose next part has a header that is none', '\r\n--b\r\nno header\r\n\r\n\r\n--b--\r\n'],
  ['that ends without its last line', ''],
])('a body %s is refused as damaged, by its code', async (_, rest) => {
  const head = '--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nsome bytes';
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    body: head + rest,
  });
  expect(await response.json()).toEqual({
    refused: 'CHUNK_HASH_MISMATCH',
    detail: expect.stringMatching(/send it again/),
  });
});

test('a body that is no multipart has no files', async () => {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'hello' });
  expect(await response.json()).toMatchObject({ files: [] });
});

test('more fields than anyone needs are refused', async () => {
  const answer = await post(Array.from({ length: 30 }, (_, i) => [`f${i}`, 'x']));
  expect(answer).toEqual({ refused: expect.stringMatching(/too many fields/i) });
});
