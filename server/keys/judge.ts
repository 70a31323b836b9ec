// What each answer of a scored sheet earned: worked out from what was read and the key version of its result, by the
// function that scores, whenever somebody asks. It is stored nowhere, so it cannot disagree with the score.
import type { KeyContent } from '../../shared/protocol/key.ts';
import { type Judged, type Scorer, scorer } from '../../shared/scoring/score.ts';
import type { Database } from '../adapters/database.ts';

export interface ScoredBy {
  key_id: string | null;
  key_version: number | null;
  variant: string | null;
  unscored: string | null;
}

export type Judge = (by: ScoredBy, answers: readonly { question: number; value: string }[]) => Promise<Judged[]>;

/** @returns a function that keeps the keys it has met; make one for each request */
export function createJudge(db: Database): Judge {
  const known = new Map<string, Promise<Scorer>>();
  const none = Promise.resolve(scorer(null));
  const scorerOf = (by: ScoredBy): Promise<Scorer> => {
    const { key_id, key_version } = by;
    // A score that is held back, or that there is not, is not to be added up from its answers.
    if (key_id === null || key_version === null || by.unscored !== null) return none;
    const name = `${key_id}@${key_version}`;
    let made = known.get(name);
    if (!made) {
      made = keyContent(db, key_id, key_version).then(scorer);
      known.set(name, made);
    }
    return made;
  };
  return async (by, answers) => {
    const values: (string | null)[] = [];
    for (const { question, value } of answers) {
      while (values.length < question) values.push(null);
      values[question - 1] = value;
    }
    const marks = { roll: null, variant: by.variant, values, doubtful: 0, doubtful_unlisted: 0 };
    return (await scorerOf(by)).judge(marks);
  };
}

async function keyContent(db: Database, key_id: string, version: number): Promise<KeyContent> {
  const { content } = await db.sql
    .selectFrom('answer_keys')
    .select('content')
    .where('key_id', '=', key_id)
    .where('version', '=', version)
    .executeTakeFirstOrThrow();
  return JSON.parse(content) as KeyContent;
}
