// What every refused request answers: an RFC 9457 problem document with a stable `code` that programs may branch on.
import * as v from 'valibot';

/** Every error the API can answer: HTTP status and title. The key is the stable `code`. */
export const PROBLEMS = {
  VALIDATION_FAILED: { status: 422, title: 'The request is not valid' },
  NOT_A_ZIP: { status: 422, title: 'The file is not a ZIP archive' },
  ZIP_WITHOUT_IMAGES: { status: 422, title: 'The ZIP holds no images' },
  ZIP_REFUSED: { status: 422, title: 'The ZIP cannot be read' },
  IMAGE_REFUSED: { status: 422, title: 'The file is not an image' },
  CHUNK_HASH_MISMATCH: { status: 422, title: 'The chunk does not match its hash' },
  CHUNK_OUT_OF_RANGE: { status: 422, title: 'The chunk lies outside the file' },
  UNAUTHORIZED: { status: 401, title: 'Sign in first' },
  REFRESH_REUSED: { status: 401, title: 'This session was ended' },
  PASSWORD_CHANGE_REQUIRED: { status: 403, title: 'Choose your own password first' },
  SECOND_PERSON: { status: 403, title: 'Somebody else has to confirm this' },
  FORBIDDEN: { status: 403, title: 'Your role does not allow this' },
  NOT_FOUND: { status: 404, title: 'There is no such thing' },
  UPLOAD_NOT_FOUND: { status: 404, title: 'There is no such upload' },
  CONFLICT: { status: 409, title: 'This does not fit the present state' },
  CHUNK_CONFLICT: { status: 409, title: 'Other bytes are already verified under this chunk' },
  UPLOAD_INCOMPLETE: { status: 409, title: 'Chunks are still missing' },
  UPLOAD_MISMATCH: { status: 409, title: 'This upload was opened with other properties' },
  STALE_EPOCH: { status: 409, title: 'Another sender has taken this upload over' },
  UPLOAD_GONE: { status: 410, title: 'The upload was deleted' },
  UPLOAD_TOO_LARGE: { status: 413, title: 'The file is too large' },
  CHUNK_BUSY: { status: 423, title: 'Another sender is writing this chunk' },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many attempts' },
  INTERNAL: { status: 500, title: 'Sheaf made a mistake' },
  UNAVAILABLE: { status: 503, title: 'Sheaf is not ready' },
  QUOTA_EXCEEDED: { status: 507, title: 'The quota is used up' },
  DISK_FULL: { status: 507, title: 'The server has no room for this file' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

export const Problem = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  code: v.picklist(Object.keys(PROBLEMS) as ProblemCode[]),
  /** What is wrong with this very request, and what to do about it. */
  detail: v.string(),
  /** One line a field, when the request's body was not valid. */
  errors: v.optional(v.array(v.object({ field: v.string(), message: v.string() }))),
  /** How much of the chunk the server holds, when that is what the sender got wrong. */
  landed: v.optional(v.number()),
  request_id: v.optional(v.string()),
});
export type Problem = v.InferOutput<typeof Problem>;
