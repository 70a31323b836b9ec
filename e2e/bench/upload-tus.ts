// The peer of the upload bench: @tus/server over its file store, both as they come, on a free port of loopback. Started
// by upload.ts with the folder for its files; tells its URL.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const tus = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] ?? '' }) });
const server = createServer((req, res) => void tus.handle(req, res));
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/files` });
});
process.once('disconnect', () => process.exit(0));
