// Multipart bodies, through multer with storage of our own: fields first, then files, each handed over as the stream it
// is. Nothing is written anywhere that the handler does not write itself.
import type { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import multer from 'multer';

export interface IncomingFile {
  field: string;
  name: string;
  stream: Readable;
}

/** Runs `onFile` for each file of the body, one after the other, with the fields that came before it. Resolves with what
 *  it returned for each and with all fields; rejects as soon as one rejects, the rest of the body drained. */
export function receiveFiles<T>(
  req: Request,
  res: Response,
  onFile: (file: IncomingFile, fields: Record<string, unknown>) => Promise<T>,
): Promise<{ files: T[]; fields: Record<string, unknown> }> {
  const files: T[] = [];
  let before: Promise<unknown> = Promise.resolve();
  const storage: multer.StorageEngine = {
    _handleFile(request, file, done) {
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
      else before.then(() => reject(error), reject);
    });
  });
}
