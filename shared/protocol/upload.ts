// How bytes travel: an upload is opened, its chunks land in any order and any number of times, it is sealed.
import * as v from 'valibot';

export const MB = 2 ** 20;
export const GB = 2 ** 30;
/** The grid on which a file is cut, unless the client asks for less. */
export const CHUNK_SIZE = 50 * MB;
export const SMALLEST_CHUNK = 64 * 1024;
export const LARGEST_FILE = 10 * GB;
/** The one-request route takes less than this. */
export const SINGLE_REQUEST_LIMIT = 100 * MB;

/** `zip_qr` is an alias that older clients send; it is answered as `zip_with_qr`. */
export const UploadType = v.pipe(
  v.picklist(['zip_with_qr', 'zip_without_qr', 'images', 'zip_qr'], 'use zip_with_qr, zip_without_qr or images'),
  v.transform((type) => (type === 'zip_qr' ? 'zip_with_qr' : type)),
);
export type UploadType = v.InferOutput<typeof UploadType>;

export const TaskId = v.pipe(v.string(), v.regex(/^\d{8}$/, 'a task id has exactly 8 digits'));
export const Sha256 = v.pipe(v.string(), v.toLowerCase(), v.regex(/^[0-9a-f]{64}$/, 'SHA-256 as 64 hex digits'));
const WholeNumber = v.pipe(v.number(), v.integer(), v.minValue(0));
/** A form field is text: digits become the number they spell. */
const FormNumber = v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'a whole number'), v.transform(Number));

export const UploadedFile = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)), size: WholeNumber });

/** A person's word on where groups begin, given before the pages are sent. Page indices count the archive's images in its
 *  directory's order; `name` is that page's, and where it is another the word is not heard. */
export const PageCorrection = v.intersect([
  v.object({ page_index: WholeNumber, name: v.pipe(v.string(), v.maxLength(255)) }),
  v.variant('what', [
    v.object({ what: v.literal('task'), task_id: TaskId }),
    v.object({ what: v.literal('join') }),
    v.object({ what: v.literal('set-aside') }),
  ]),
]);
export type PageCorrection = v.InferOutput<typeof PageCorrection>;

/** `POST /api/batches/uploads`. For `images`, the bytes are the files one after the other, as `files` lists them. */
export const OpenUpload = v.object({
  client_upload_id: v.pipe(v.string(), v.uuid('a UUID that the client chose for this file')),
  upload_type: UploadType,
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  /** bytes */
  size: v.pipe(WholeNumber, v.minValue(1, 'the file is empty')),
  task_id: v.optional(v.nullable(TaskId)),
  chunk_size: v.optional(
    v.pipe(WholeNumber, v.minValue(SMALLEST_CHUNK, 'at least 65536'), v.maxValue(CHUNK_SIZE, 'at most 52428800')),
  ),
  files: v.optional(v.array(UploadedFile)),
  grouping: v.optional(v.pipe(v.array(PageCorrection), v.maxLength(10_000))),
});
export type OpenUpload = v.InferInput<typeof OpenUpload>;

export const UploadState = v.picklist(['open', 'sealed', 'rejected']);

/** What the server holds. Ranges are inclusive: `[[0, 41], [43, 43]]`. */
export const UploadAnswer = v.object({
  upload_id: v.string(),
  batch_id: v.string(),
  state: UploadState,
  name: v.string(),
  size: v.number(),
  chunk_size: v.number(),
  total_chunks: v.number(),
  epoch: v.number(),
  held: v.array(v.tuple([v.number(), v.number()])),
  /** bytes at the start of chunks that have begun to land, by chunk index */
  partial: v.record(v.string(), v.number()),
  limits: v.object({ largest_file: v.number(), chunk_size: v.number() }),
  /** why a rejected upload was rejected */
  reason: v.nullable(v.string()),
});
export type UploadAnswer = v.InferOutput<typeof UploadAnswer>;

/** The answer to opening: the token moves bytes of this upload and can do nothing else. */
export const OpenUploadAnswer = v.object({ ...UploadAnswer.entries, upload_token: v.string() });
export type OpenUploadAnswer = v.InferOutput<typeof OpenUploadAnswer>;

/** The fields that go before the file `chunk` in the multipart body of `POST /api/batches/upload-chunk`. */
export const ChunkFields = v.object({
  upload_id: v.pipe(v.string(), v.minLength(1)),
  chunk_index: FormNumber,
  total_chunks: FormNumber,
  /** where in the chunk the body starts */
  offset: v.optional(FormNumber, '0'),
  /** of the whole chunk */
  sha256: Sha256,
  epoch: v.optional(FormNumber),
});

export const ChunkAnswer = v.object({
  upload_id: v.string(),
  batch_id: v.string(),
  chunk_index: v.number(),
  /** bytes of this chunk on the server's disk */
  landed: v.number(),
  /** true: all of it, its hash right, synced and in the ledger; the sender may let go of its copy */
  verified: v.boolean(),
  duplicate: v.boolean(),
  chunks_verified: v.number(),
  total_chunks: v.number(),
});
export type ChunkAnswer = v.InferOutput<typeof ChunkAnswer>;

export const SealAnswer = v.object({ upload_id: v.string(), batch_id: v.string(), state: v.literal('sealed') });
export const UploadBatchAnswer = v.object({
  batch_id: v.string(),
  upload_id: v.string(),
  status: v.string(),
  message: v.string(),
});

export const chunkCount = (size: number, chunkSize: number): number => Math.ceil(size / chunkSize);
/** Length in bytes of chunk `index`: all are `chunkSize` but the last. */
export const chunkLength = (size: number, chunkSize: number, index: number): number =>
  Math.min(chunkSize, size - index * chunkSize);
