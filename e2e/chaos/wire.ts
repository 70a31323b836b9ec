// What can happen to a request between a tablet and real servers: a proxy that keeps it back, spoils it, repeats it, cuts
// it in the middle, or lets it arrive when nobody waits for it any more.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './plan.ts';

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}
export interface Wire {
  /** servers that requests may go to, most to the first */
  urls: () => string[];
  random: () => number;
  /** told of every answer that a server gave, heard or not */
  onAnswer: (path: string, answer: Answer) => void;
}

const bodyOf = async (message: http.IncomingMessage): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
};

/** A request to a server, begun and not ended: its body goes on when it is told to. */
function begin(url: string, req: http.IncomingMessage, length: number, headers: http.OutgoingHttpHeaders = {}) {
  const target = new URL(url);
  const { 'transfer-encoding': _, ...bare } = req.headers;
  const request = http.request({
    host: target.hostname,
    port: target.port,
    method: req.method,
    path: req.url,
    headers: { ...bare, host: target.host, 'content-length': length, ...headers },
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      bodyOf(response).then(
        (body) => resolve({ status: response.statusCode ?? 502, headers: response.headers, body }),
        reject,
      );
    });
  });
  answer.catch(() => undefined); // whoever wants it awaits it
  return { request, answer };
}

/** Flips bytes of the chunk, not of the multipart frame around it: that would be no request of ours any more. */
function spoil(body: Buffer, { at, how }: Fault): Buffer {
  const spoilt = Buffer.from(body);
  const start = body.indexOf('\r\n\r\n', body.indexOf('name="chunk"')) + 4;
  const length = body.lastIndexOf('\r\n--') - start;
  if (start < 4 || length <= 0) return spoilt;
  for (let i = 0; i <= how * 3; i++) {
    const where = start + ((Math.floor(at * length) + i * 997) % length);
    spoilt.writeUInt8(spoilt.readUInt8(where) ^ 0x55, where);
  }
  return spoilt;
}

/** Lets the fault strike the request. Resolves when all that comes of it has come, late deliveries too. */
export async function strikeRequest(
  wire: Wire,
  fault: Fault,
  req: http.IncomingMessage,
  res: http.ServerResponse,
): Promise<void> {
  const body = await bodyOf(req);
  const path = req.url ?? '';
  const urls = wire.urls();
  const [here = '', there = here] = wire.random() < 0.7 ? urls : urls.toReversed();
  const until = Math.floor(fault.at * body.length);
  const cut = (): void => void req.socket.destroy();

  const ask = async (url: string, bytes: Buffer, headers?: http.OutgoingHttpHeaders): Promise<Answer> => {
    const { request, answer } = begin(url, req, bytes.length, headers);
    request.end(bytes);
    const got = await answer;
    wire.onAnswer(path, got);
    return got;
  };
  const pass = (answer: Answer): void => {
    const { 'transfer-encoding': _, ...headers } = answer.headers;
    res.writeHead(answer.status, headers);
    res.end(answer.body);
  };
  switch (fault.kind) {
    case 'cut-before':
      return cut();
    case 'cut-within': {
      const { request } = begin(here, req, body.length);
      request.write(body.subarray(0, until));
      await sleep(30 + fault.how * 300);
      request.destroy();
      return cut();
    }
    case 'answer-lost':
      await ask(here, body).catch(() => undefined);
      return cut();
    case 'slow': {
      const { request, answer } = begin(here, req, body.length);
      const pieces = 10;
      for (let i = 0; i < pieces; i++) {
        request.write(body.subarray((i * body.length) / pieces, ((i + 1) * body.length) / pieces));
        await sleep(fault.how * 200);
      }
      request.end();
      const got = await answer;
      wire.onAnswer(path, got);
      return pass(got);
    }
    case 'corrupted':
      return pass(await ask(here, spoil(body, fault)));
    case 'duplicated': {
      pass(await ask(here, body));
      await sleep(fault.how * 1000);
      await ask(there, body).catch(() => undefined);
      return;
    }
    case 'duplicated-at-once': {
      const other = ask(there, body).catch(() => undefined);
      pass(await ask(here, body));
      await other;
      return;
    }
    case 'delivered-late':
      cut();
      await sleep(200 + fault.how * 4000);
      await ask(there, body).catch(() => undefined);
      return;
    case 'stale-socket': {
      // The second server keeps a socket whose sender is gone; what comes on it in the end may be anything.
      const { request, answer } = begin(there, req, body.length);
      request.write(body.subarray(0, until));
      await sleep(50);
      cut();
      await sleep(fault.how * 8000);
      request.end(fault.how < 0.5 ? body.subarray(until) : Buffer.alloc(body.length - until, 0x2a));
      await answer.then((got) => wire.onAnswer(path, got)).catch(() => undefined);
      return;
    }
    case 'spoilt-token':
      return pass(await ask(here, body, { authorization: 'Bearer spoilt' }));
    default:
      return pass(await ask(here, body));
  }
}
