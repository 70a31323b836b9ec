// The worker that looks into a batch before it is sent. One page at a time; whoever asks decides how many workers there are.
import { expose } from 'comlink';
import { lookAtPage } from '../preview/page.ts';
import { readZipEntries } from '../preview/zip-blob.ts';

const previewer = { entries: readZipEntries, look: lookAtPage };
export type Previewer = typeof previewer;
expose(previewer);
