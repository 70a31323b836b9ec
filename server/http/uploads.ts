// The upload routes: open, chunk, holdings, seal, adopt, delete, and the one-request way.
import * as v from 'valibot';
import {
  CHUNK_SIZE,
  ChunkFields,
  OpenUpload,
  SINGLE_REQUEST_LIMIT,
  TaskId,
  UploadType,
} from '../../shared/protocol/upload.ts';
import type { UploadsTable } from '../adapters/database.ts';
import { audit, by } from '../audit.ts';
import { visibleAdoption } from '../auth/access.ts';
import { cancelUpload } from '../batches/bin.ts';
import type { Config } from '../config.ts';
import { refuse } from '../problem.ts';
import { landChunk } from '../uploads/landing.ts';
import type { Leases } from '../uploads/leases.ts';
import { findUpload, holdings } from '../uploads/ledger.ts';
import { receiveFiles } from '../uploads/multipart.ts';
import { openUpload, uploadToken } from '../uploads/open.ts';
import { type SealDeps, seal } from '../uploads/seal.ts';
import { beginWhole } from '../uploads/whole.ts';
import { parse, type Routes } from './routes.ts';

export interface UploadRouteDeps extends SealDeps {
  secret: Uint8Array;
  leases: Leases;
  quota: Config['quota'];
  report: (error: unknown) => void;
}

const IDLE_MS = 30_000;

const WholeFields = v.object({
  upload_type: UploadType,
  task_id: v.optional(
    v.union([
      v.pipe(
        v.literal(''),
        v.transform(() => null),
      ),
      TaskId,
    ]),
  ),
});

export function uploadRoutes(routes: Routes, deps: UploadRouteDeps): void {
  const { db, blobs, announce, secret, report } = deps;

  routes.on('POST /api/batches/uploads', async (req, res, { user }) => {
    const asked = parse(OpenUpload, req.body, 'upload');
    const { upload, created } = await openUpload(deps, user, {
      ...asked,
      chunk_size: asked.chunk_size ?? CHUNK_SIZE,
      task_id: asked.task_id ?? null,
      files: asked.files ?? null,
    });
    res
      .status(created ? 201 : 200)
      .json({ ...(await holdings(db, upload)), upload_token: uploadToken(secret, upload.upload_id) });
  });

  routes.on('POST /api/batches/upload-chunk', async (req, res, { sender }) => {
    // A tablet that went out of reach leaves its socket open: cut it, so that the chunk's lease is free again.
    req.setTimeout(IDLE_MS, () => req.destroy());
    const { files } = await receiveFiles(
      req,
      res,
      async ({ field, stream }, fields) => {
        if (field !== 'chunk') refuse('VALIDATION_FAILED', `The file’s field is ${field}; it must be chunk.`);
        const request = parse(ChunkFields, fields, 'fields, which must come before the file,');
        const upload = await findUpload(db, sender, request.upload_id);
        return landChunk(deps, upload, { ...request, epoch: request.epoch }, stream);
      },
      'CHUNK_HASH_MISMATCH',
    );
    const answer =
      files[0] ??
      refuse('VALIDATION_FAILED', 'The body has no file in the field `chunk`.', {
        errors: [{ field: 'chunk', message: 'missing' }],
      });
    // Sealed here as well as on request: a sender may die before it asks. What is wrong with the file is told to whoever asks.
    if (answer.chunks_verified === answer.total_chunks && !answer.duplicate && answer.verified) {
      const upload = await findUpload(db, sender, answer.upload_id);
      seal(deps, upload).catch((error: unknown) => {
        if (!(error instanceof Error && error.name === 'RequestRefused')) report(error);
      });
    } else if (answer.verified && !answer.duplicate) {
      deps.wake(answer.batch_id);
    }
    res.json(answer);
  });

  routes.on('GET /api/batches/uploads/:upload_id', async (req, res, { sender }) => {
    res
      .set('Cache-Control', 'no-store')
      .json(await holdings(db, await findUpload(db, sender, String(req.params.upload_id))));
  });

  routes.on('POST /api/batches/uploads/:upload_id/seal', async (req, res, { sender }) => {
    res.json(await seal(deps, await findUpload(db, sender, String(req.params.upload_id))));
  });

  routes.on('POST /api/batches/uploads/:upload_id/adopt', async (req, res, { user }) => {
    const upload_id = String(req.params.upload_id);
    const upload = await db.sql
      .selectFrom('uploads')
      .selectAll()
      .where('upload_id', '=', upload_id)
      .where(visibleAdoption(user))
      .executeTakeFirst();
    if (!upload) return refuse('UPLOAD_NOT_FOUND', `There is no upload ${upload_id} in your centres.`);
    await db.write(async (tx) => {
      await tx
        .updateTable('uploads')
        .set((eb) => ({ owner: user.user_id, epoch: eb('epoch', '+', 1) }))
        .where('upload_id', '=', upload_id)
        .execute();
      await audit(db, tx, {
        ...by(user),
        action: 'upload.adopt',
        subject: `upload:${upload_id}`,
        before: { owner: upload.owner },
        after: { owner: user.user_id },
      });
    });
    const adopted = await findUpload(db, { kind: 'user', user }, upload_id);
    return res.json({ ...(await holdings(db, adopted)), upload_token: uploadToken(secret, upload_id) });
  });

  routes.on('DELETE /api/batches/uploads/:upload_id', async (req, res, { sender, user }) => {
    const upload = await findUpload(db, sender, String(req.params.upload_id));
    await cancelUpload(db, blobs, user, upload);
    res.status(204).end();
  });

  routes.on('POST /api/batches/upload', async (req, res, { user }) => {
    const announced = Number(req.get('content-length') ?? 0);
    // Form fields and boundaries are a few hundred bytes.
    if (announced >= SINGLE_REQUEST_LIMIT + 2 ** 20) {
      refuse(
        'UPLOAD_TOO_LARGE',
        'One request takes less than 100 MB. Send the file in chunks: open it with POST /api/batches/uploads.',
      );
    }
    const blob = await beginWhole(blobs);
    let upload: UploadsTable;
    try {
      const { fields } = await receiveFiles(req, res, (file) => blob.append(file));
      const { upload_type, task_id } = parse(WholeFields, fields, 'form');
      upload = await blob.commit(db, announce, user, upload_type, task_id ?? null);
    } catch (error) {
      await blob.discard();
      throw error;
    }
    // The rows stand, so the bytes stay: should sealing be cut off here, the next start does it.
    await seal(deps, upload);
    res.status(201).json({
      batch_id: upload.batch_id,
      upload_id: upload.upload_id,
      status: 'uploaded',
      message: `${upload.name} arrived; GET /api/batches/${upload.batch_id}/stream tells how it goes on`,
    });
  });
}
