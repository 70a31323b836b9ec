// Refusals: what went wrong with a request, as a value that the HTTP edge turns into an RFC 9457 document.
import { PROBLEMS, type ProblemCode } from '../shared/protocol/problem.ts';

interface Extra {
  errors?: { field: string; message: string }[];
  landed?: number;
  /** seconds, sent as Retry-After */
  retryAfter?: number;
}

/** An expected refusal. `detail` names the thing and the place, and says what to do. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  readonly code: ProblemCode;
  readonly extra: Extra;
  constructor(code: ProblemCode, detail: string, extra: Extra = {}) {
    super(detail);
    this.code = code;
    this.extra = extra;
  }
  get status(): number {
    return PROBLEMS[this.code].status;
  }
}

/** Throws a {@link RequestRefused}. */
export function refuse(code: ProblemCode, detail: string, extra?: Extra): never {
  throw new RequestRefused(code, detail, extra);
}
