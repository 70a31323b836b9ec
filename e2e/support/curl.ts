// The real curl, as a stranger's client: nothing of ours between it and the server.
import { spawn } from 'node:child_process';
import * as v from 'valibot';

export interface CurlAnswer {
  status: number;
  /** media type with its parameters, '' when there is none */
  type: string;
  bytes: Buffer;
  text: string;
  /** @throws ValiError when the body is not what the protocol promises */
  json<S extends v.GenericSchema>(schema: S): v.InferOutput<S>;
}

/** Runs curl with these arguments; rejects only when curl could not speak with the server at all. */
export function curl(...args: string[]): Promise<CurlAnswer> {
  return new Promise((resolve, reject) => {
    // Status and type go last, on a line of their own, because a body may be anything.
    const child = spawn('curl', ['-sS', '-w', '\n%{http_code} %{content_type}', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    let complaint = '';
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) return reject(new Error(`curl ended with ${code}: ${complaint.trim()}`));
      const all = Buffer.concat(out);
      const end = all.lastIndexOf('\n');
      const [status = '', ...type] = all.toString('utf8', end + 1).split(' ');
      const bytes = all.subarray(0, end);
      const text = bytes.toString();
      return resolve({
        status: Number(status),
        type: type.join(' '),
        bytes,
        text,
        json: (schema) => v.parse(schema, JSON.parse(text)),
      });
    });
  });
}
