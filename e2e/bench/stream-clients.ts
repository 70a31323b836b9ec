// The watchers of the stream bench, in a process of their own: so many connections to one batch's stream, some of them cut
// and made again by their last id. Counts what each of them was sent, and how old it was. Started by stream.ts.
import net from 'node:net';
import * as v from 'valibot';
import { ClientOrder, type ClientTold } from './stream-order.ts';

const order = v.parse(ClientOrder, JSON.parse(process.argv[2] ?? ''));
const tell = (told: ClientTold): void => void process.send?.(told);
const url = new URL(order.url);

/** Milliseconds from a step to its receipt, counted. */
const ages = new Map<number, number>();
let received = 0;
let wrong = 0;
let connected = 0;

interface Watcher {
  socket: net.Socket;
  last: number;
  rest: string;
  greeted: boolean;
}

function connect(watcher: Omit<Watcher, 'socket'> & { socket?: net.Socket }): void {
  const socket = net.connect(Number(url.port), url.hostname);
  watcher.socket = socket;
  watcher.rest = '';
  watcher.greeted = false;
  socket.setEncoding('latin1');
  socket.on('error', () => undefined);
  socket.write(
    `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${order.token}\r\nLast-Event-ID: ${watcher.last}\r\n\r\n`,
  );
  socket.on('data', (text: string) => {
    const now = Date.now();
    const lines = (watcher.rest + text).split('\n');
    watcher.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!watcher.greeted) {
        if (!line.startsWith('HTTP/1.1 200')) throw new Error(`a stream was answered ${line}`);
        watcher.greeted = true;
        connected++;
      } else if (line.startsWith('id: ')) {
        // Ids with a point are snapshots and signals: they are not in the log.
        if (line.includes('.')) continue;
        const id = Number(line.slice(4));
        if (id !== watcher.last + 1) wrong++;
        else received++;
        watcher.last = id;
      } else if (line.startsWith('data: ')) {
        const stamp = /"(?:completed_at|started_at)":"([^"]+)"/.exec(line)?.[1];
        if (stamp === undefined) continue;
        const age = Math.max(0, now - Date.parse(stamp));
        ages.set(age, (ages.get(age) ?? 0) + 1);
      }
    }
  });
}

const watchers = Array.from(
  { length: order.clients },
  () => ({ last: order.from, rest: '', greeted: false }) as Watcher,
);
// A few at a time: a listening socket has a queue of its own.
for (const [i, watcher] of watchers.entries()) {
  connect(watcher);
  if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 100));
}
while (connected < order.clients) await new Promise((resolve) => setTimeout(resolve, 50));
tell({ tell: 'connected' });

let cut = 0;
process.on('message', (message) => {
  const said = v.parse(v.picklist(['cut', 'count']), message);
  if (said === 'cut') {
    const watcher = watchers[(cut++ * 37) % watchers.length]!;
    watcher.socket.destroy();
    connect(watcher);
  } else {
    const lasts = watchers.map(({ last }) => last);
    tell({ tell: 'counted', ages: [...ages], received, wrong, lasts });
  }
});
