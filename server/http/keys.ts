// Answer keys and tasks, and what follows from them for batches that are read already.
import * as v from 'valibot';
import {
  ConfirmKey,
  ImpactQuestion,
  KeyEdit,
  KeyPaste,
  KeyPublish,
  KeyQuery,
  NewKey,
  NewTask,
  TaskEdit,
  TaskQuery,
} from '../../shared/protocol/key.ts';
import { keyCsv, parseKeyText } from '../../shared/scoring/paste.ts';
import { validateKey } from '../../shared/scoring/validate-key.ts';
import type { Database } from '../adapters/database.ts';
import { findVisible } from '../batches/queries.ts';
import { confirmKey, groupFit } from '../keys/fit.ts';
import { impactOf } from '../keys/impact.ts';
import {
  createKey,
  editDraft,
  findKey,
  listKeys,
  listVersions,
  publishKey,
  sheetShape,
  validateVersion,
} from '../keys/keys.ts';
import { rescoreAsked } from '../keys/rescore.ts';
import { editTask, findTask, listTasks, saveTask } from '../keys/tasks.ts';
import { refuse } from '../problem.ts';
import { parse, type Routes } from './routes.ts';

const ExportQuery = v.object({ format: v.optional(v.picklist(['csv', 'json'], 'use csv or json'), 'csv') });

/** `latest` is the newest version, published or draft. */
function versionOf(text: unknown): number | undefined {
  if (text === 'latest') return undefined;
  if (!/^[1-9]\d{0,8}$/.test(String(text)))
    return refuse('NOT_FOUND', `There is no version ${text}: versions count from 1, or say latest.`);
  return Number(text);
}

export function keyRoutes(routes: Routes, { db }: { db: Database }): void {
  routes.on('GET /api/answer-keys', async (req, res, { user }) => {
    res.json(await listKeys(db, user, parse(KeyQuery, req.query, 'query')));
  });
  routes.on('POST /api/answer-keys', async (req, res, { user }) => {
    const { key_id, content } = parse(NewKey, req.body, 'answer key');
    res.status(201).json(await createKey(db, user, key_id, content));
  });
  routes.on('POST /api/answer-keys/parse', async (req, res) => {
    const { text, template_id } = parse(KeyPaste, req.body, 'text');
    const { content, problems } = parseKeyText(text);
    const shape = await sheetShape(db, template_id);
    const found = content && shape ? validateKey(content, shape) : [];
    // A gap is said once, with the line it was found in.
    const said = new Set(problems.map(({ code, variant, question }) => `${code} ${variant} ${question}`));
    const more = found.filter(({ code, variant, question }) => !said.has(`${code} ${variant} ${question}`));
    res.json({ content, problems: [...problems, ...more] });
  });
  routes.on('GET /api/answer-keys/:key_id', async (req, res, { user }) => {
    res.json(await findKey(db, user, String(req.params.key_id)));
  });
  routes.on('PATCH /api/answer-keys/:key_id', async (req, res, { user }) => {
    const { content, base_rev } = parse(KeyEdit, req.body, 'edit');
    res.json(await editDraft(db, user, String(req.params.key_id), content, base_rev));
  });
  routes.on('POST /api/answer-keys/:key_id/validate', async (req, res, { user }) => {
    res.json(await validateVersion(db, user, String(req.params.key_id)));
  });
  routes.on('POST /api/answer-keys/:key_id/publish', async (req, res, { user }) => {
    const form = parse(KeyPublish, req.body ?? {}, 'form');
    const { key, batches } = await publishKey(db, user, String(req.params.key_id), form);
    res.json({ ...key, ...(await rescoreAsked(db, batches)) });
  });
  routes.on('GET /api/answer-keys/:key_id/versions', async (req, res, { user }) => {
    const key_id = String(req.params.key_id);
    res.json({ key_id, ...(await listVersions(db, user, key_id)) });
  });
  routes.on('GET /api/answer-keys/:key_id/versions/:version', async (req, res, { user }) => {
    res.json(await findKey(db, user, String(req.params.key_id), versionOf(req.params.version)));
  });
  routes.on('GET /api/answer-keys/:key_id/versions/:version/export', async (req, res, { user }) => {
    const { format } = parse(ExportQuery, req.query, 'query');
    const key = await findKey(db, user, String(req.params.key_id), versionOf(req.params.version));
    const name = `${key.key_id.replace(/[^\w.-]+/g, '_').slice(0, 100)}-v${key.version}.${format}`;
    res.set('Content-Disposition', `attachment; filename="${name}"`);
    if (format === 'csv') res.type('text/csv; charset=utf-8').send(keyCsv(key.content));
    else res.json(key.content);
  });
  routes.on('POST /api/answer-keys/:key_id/versions/:version/impact', async (req, res, { user }) => {
    const { cut_score } = parse(ImpactQuestion, req.body ?? {}, 'question');
    res.json(await impactOf(db, user, String(req.params.key_id), versionOf(req.params.version), cut_score));
  });

  routes.on('GET /api/tasks', async (req, res, { user }) => {
    res.json(await listTasks(db, user, parse(TaskQuery, req.query, 'query')));
  });
  routes.on('POST /api/tasks', async (req, res, { user }) => {
    const { task, batches } = await saveTask(db, user, parse(NewTask, req.body, 'task'));
    await rescoreAsked(db, batches);
    res.status(201).json(task);
  });
  routes.on('GET /api/tasks/:task_id', async (req, res, { user }) => {
    res.json(await findTask(db, user, String(req.params.task_id)));
  });
  routes.on('PATCH /api/tasks/:task_id', async (req, res, { user }) => {
    const { task, batches } = await editTask(db, user, String(req.params.task_id), parse(TaskEdit, req.body, 'edit'));
    await rescoreAsked(db, batches);
    res.json(task);
  });
  routes.on('GET /api/templates', async (_req, res) => {
    const rows = await db.sql
      .selectFrom('templates')
      .select(['template_id', 'version'])
      .orderBy('template_id')
      .orderBy('version')
      .execute();
    res.json({ items: rows });
  });

  routes.on('GET /api/batches/:batch_id/groups/:group_id/key-fit', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    res.json(await groupFit(db, batch, String(req.params.group_id)));
  });
  routes.on('POST /api/batches/:batch_id/groups/:group_id/confirm-key', async (req, res, { user }) => {
    const batch = await findVisible(db, user, String(req.params.batch_id));
    const group_id = String(req.params.group_id);
    const { reason } = parse(ConfirmKey, req.body, 'reason');
    if (await confirmKey(db, user, batch, group_id, reason)) await rescoreAsked(db, [batch.batch_id]);
    res.json(await groupFit(db, batch, group_id));
  });
}
