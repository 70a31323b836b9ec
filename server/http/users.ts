// Users, their devices, centres and exams.
import { Centre, Exam, NewUser, SetPassword, UserPatch, UserQuery } from '../../shared/protocol/user.ts';
import type { Database } from '../adapters/database.ts';
import { listDevices, revokeDevice, revokeDevices } from '../auth/devices.ts';
import { listCentres, listExams, saveCentre, saveExam } from '../auth/places.ts';
import { createUser, findUser, listUsers, patchUser, setPassword } from '../auth/users.ts';
import { parse, type Routes } from './routes.ts';

export function userRoutes(routes: Routes, { db }: { db: Database }): void {
  routes.on('GET /api/users', async (req, res, { user }) => {
    res.json(await listUsers(db, user, parse(UserQuery, req.query, 'query')));
  });
  routes.on('POST /api/users', async (req, res, { user }) => {
    res.status(201).json(await createUser(db, user, parse(NewUser, req.body, 'user')));
  });
  routes.on('GET /api/users/:user_id', async (req, res, { user }) => {
    res.json(await findUser(db, user, String(req.params.user_id)));
  });
  routes.on('PATCH /api/users/:user_id', async (req, res, { user }) => {
    res.json(await patchUser(db, user, String(req.params.user_id), parse(UserPatch, req.body, 'change')));
  });
  routes.on('POST /api/users/:user_id/password', async (req, res, { user }) => {
    res.json(await setPassword(db, user, String(req.params.user_id), parse(SetPassword, req.body, 'password')));
  });

  routes.on('GET /api/users/:user_id/sessions', async (req, res, { user }) => {
    const { user_id } = await findUser(db, user, String(req.params.user_id));
    res.set('Cache-Control', 'no-store').json({ items: await listDevices(db, user_id, user) });
  });
  routes.on('DELETE /api/users/:user_id/sessions', async (req, res, { user }) => {
    const { user_id } = await findUser(db, user, String(req.params.user_id));
    res.json({ ended: await revokeDevices(db, user, user_id) });
  });
  routes.on('DELETE /api/users/:user_id/sessions/:session_id', async (req, res, { user }) => {
    const { user_id } = await findUser(db, user, String(req.params.user_id));
    await revokeDevice(db, user, user_id, String(req.params.session_id));
    res.status(204).end();
  });

  routes.on('GET /api/centres', async (_req, res, { user }) => {
    res.json({ items: await listCentres(db, user) });
  });
  routes.on('POST /api/centres', async (req, res, { user }) => {
    res.status(201).json(await saveCentre(db, user, parse(Centre, req.body, 'centre')));
  });
  routes.on('GET /api/exams', async (_req, res, { user }) => {
    res.json({ items: await listExams(db, user) });
  });
  routes.on('POST /api/exams', async (req, res, { user }) => {
    res.status(201).json(await saveExam(db, user, parse(Exam, req.body, 'exam')));
  });
}
