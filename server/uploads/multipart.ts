// Multipart bodies, through multer with storage of our own: fields first, then files, each handed over as the stream it
// is. Nothing is written anywhere that the handler does not write itself.
import type { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import multer from 'multer';
import type { ProblemCode } from '../../shared/protocol/problem.ts';
import { RequestRefused } from '../problem.ts';

export interface IncomingFile {
  field: string;
  name: string;
  stream: Readable;
}

/** Runs `onFile` for each file of the body, one after the other, with the fields that came before it. Resolves with what
 *  it returned for each and with all fields; rejects as soon as one rejects, the rest of the body drained. A body whose
 *  frame was damaged on the way is refused with `damaged`. */
export function receiveFiles<T>(
  req: Request,
  res: Response,
  onFile: (file: IncomingFile, fields: Record<string, unknown>) => Promise<T>,
  damaged: ProblemCode = 'VALIDATION_FAILED',
): Promise<{ files: T[]; fields: Record<string, unknown> }> {
  const files: T[] = [];
  /** what the parser told the readers of its files */
  const told = new Set<unknown>();
  const refusal = (error: unknown): unknown =>
    error instanceof multer.MulterError || error instanceof RequestRefused
      ? error
      : new RequestRefused(
          damaged,
          `The body is not multipart as it was announced: ${error instanceof Error ? error.message : String(error)}. It may have been damaged on the way: send it again.`,
        );
  let before: Promise<unknown> = Promise.resolve();
  const storage: multer.StorageEngine = {
    _handleFile(request, file, done) {
      file.stream.on('error', (error: unknown) => told.add(error));
      const fields = { ...(request.body as Record<string, unknown>) };
      before = before.then(() =>
        onFile({ field: file.fieldname, name: file.originalname, stream: file.stream }, fields),
      );
      before.then(
        (result) => {
          files.push(result as T);
          done(null, {});
        },
        (error: unknown) => done(error),
      );
    },
    _removeFile: (_request, _file, done) => done(null),
  };
  const middleware = multer({
    storage,
    limits: { fields: 20, fieldSize: 64 * 1024, files: 10_000 },
    defParamCharset: 'utf8',
  }).any();
  return new Promise((resolve, reject) => {
    void middleware(req, res, (error: unknown) => {
      if (!error) resolve({ files, fields: { ...(req.body as Record<string, unknown>) } });
      // A handler that stops in the middle of a file destroys its stream, and multer may tell of that first: what the
      // handler stopped for is the reason. It has ended, or ends with its stream.
      else
        before.then(
          () => reject(refusal(error)),
          (reason: unknown) => reject(told.has(reason) ? refusal(reason) : reason),
        );
    });
  });
}
