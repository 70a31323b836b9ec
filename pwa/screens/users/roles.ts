// Roles in words.
import type { Role } from '../../../shared/protocol/auth.ts';
import { userWords } from './words.ts';

export const roleWords = (role: Role): { word: string; may: string } => {
  const t = userWords();
  return { word: t[role], may: t[`${role}May`] };
};
