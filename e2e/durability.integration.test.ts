// The promise of docs/durability.md, seen from the kernel: a chunk is answered as verified only after its bytes and then
// the ledger's row are on the disk.
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditList } from '../shared/protocol/audit.ts';
import { MB, OpenUploadAnswer } from '../shared/protocol/upload.ts';
import { eventually, temporaryFolder } from './support/places.ts';
import { type Sheaf, startSheaf } from './support/sheaf.ts';

const CALLS = 'pwrite64,pwritev,write,writev,fdatasync,fsync,sendto';

let folder: string;
let sheaf: Sheaf;
beforeAll(async () => {
  folder = temporaryFolder();
  sheaf = await startSheaf();
});
afterAll(async () => {
  await sheaf?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

interface Call {
  name: string;
  /** what the file descriptor is: a path or a socket */
  on: string;
  rest: string;
}

/** The calls in the order in which they returned: one that another thread interrupted in the trace counts there. */
function completed(trace: string): Call[] {
  const begun = new Map<string, Call>();
  const calls: Call[] = [];
  for (const line of trace.split('\n')) {
    const [, thread, what = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const call = /^(\w+)\(\d+<(.*?)>(.*)$/.exec(what);
    if (call) {
      const [, name, on, rest] = call;
      if (rest.endsWith('<unfinished ...>')) begun.set(thread, { name, on, rest });
      else calls.push({ name, on, rest });
    } else if (/^<\.\.\. \w+ resumed>/.test(what)) {
      const whole = begun.get(thread);
      if (whole) calls.push({ ...whole, rest: whole.rest + what });
      begun.delete(thread);
    }
  }
  return calls;
}

/** Runs `work` while strace looks at the process. @returns what it wrote down */
async function traced(pid: number, work: () => Promise<unknown>): Promise<string> {
  const file = path.join(folder, 'trace');
  const strace = spawn('strace', ['-f', '-y', '-s', '64', '-e', `trace=${CALLS}`, '-o', file, '-p', String(pid)]);
  let said = '';
  strace.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const ended = new Promise<void>((resolve, reject) => {
    strace.once('error', (cause) => reject(new Error('strace is needed: sudo apt-get install strace', { cause })));
    strace.once('close', () => resolve());
  });
  await Promise.race([
    eventually('strace', () => said.includes('attached')),
    ended.then(() => Promise.reject(new Error(`strace may not look at the API: ${said}`))),
  ]);
  try {
    await work();
  } finally {
    strace.kill('SIGINT');
    await ended;
  }
  return fs.readFileSync(file, 'utf8');
}

test('[U5] write, sync, commit, sync, answer: in this order', async () => {
  const client = await sheaf.client();
  const bytes = randomBytes(3 * MB);
  const upload = await client.call(OpenUploadAnswer, 'POST', '/api/batches/uploads', {
    client_upload_id: randomUUID(),
    upload_type: 'zip_with_qr',
    name: 'traced.zip',
    size: bytes.length,
    chunk_size: 2 * MB,
  });
  // What is signed is written as well, a moment later: it would stand among the calls that are looked for.
  await eventually('all rows of the audit log signed', async () => {
    const { items, head } = await client.call(AuditList, 'GET', '/api/audit');
    return head?.seq === items[0]?.seq;
  });
  const trace = await traced(sheaf.pid('api'), async () => {
    expect(await client.sendChunk(upload, bytes, 0)).toMatchObject({ verified: true, duplicate: false });
  });
  const calls = completed(trace);
  const last = (which: (call: Call) => boolean, before = calls.length): number =>
    calls.slice(0, before).findLastIndex(which);

  const answered = calls.findIndex(({ rest }) => rest.includes('HTTP/1.1 200'));
  const isBlob = ({ on }: Call): boolean => on.endsWith(`/blobs/${upload.upload_id}`);
  const isLedger = ({ on }: Call): boolean => on.endsWith('-wal');
  const isSync = ({ name, rest }: Call): boolean => /^f(data)?sync$/.test(name) && /= 0\b/.test(rest);
  const isWrite = ({ name }: Call): boolean => name.startsWith('pwrite');
  const written = last((call) => isBlob(call) && isWrite(call));
  const synced = calls.findIndex((call, i) => i > written && isBlob(call) && isSync(call));
  const committed = calls.findIndex((call, i) => i > synced && isLedger(call) && isWrite(call));
  const durable = calls.findIndex((call, i) => i > committed && isLedger(call) && isSync(call));
  const order = { written, synced, committed, durable, answered };
  expect(
    Object.values(order).every((at) => at >= 0),
    `${JSON.stringify(order)}\n${trace}`,
  ).toBe(true);
  expect(Object.values(order), trace).toEqual(Object.values(order).toSorted((a, b) => a - b));
  // Not a commit of something else: none of the ledger's stands between the two syncs and the answer but this.
  expect(last((call) => isLedger(call) && isWrite(call), answered)).toBeLessThan(durable);
});
