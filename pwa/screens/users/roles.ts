// Roles in words.
import type { Role } from '../../../shared/protocol/auth.ts';

export const ROLE_WORDS: Record<Role, { word: string; may: string }> = {
  admin: { word: 'Admin', may: 'Everything, in every centre.' },
  supervisor: { word: 'Supervisor', may: 'Keys, tasks and batches of their centres.' },
  reviewer: { word: 'Reviewer', may: 'Looks over doubtful sheets, and sees keys, in their centres.' },
  operator: { word: 'Operator', may: 'Sends batches and follows their own.' },
  viewer: { word: 'Viewer', may: 'Reads the results of their centres.' },
};
