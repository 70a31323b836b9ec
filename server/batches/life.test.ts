import { expect, test } from 'vitest';
import { BATCH_STATUSES, ENDED } from '../../shared/protocol/stage.ts';
import { ACTIVE, hasEnded } from './life.ts';

test('[P3] every state has ended, has work for the pipeline, or waits for a person', () => {
  const waiting = ['paused'];
  for (const status of BATCH_STATUSES) {
    const kinds = [ENDED.includes(status), ACTIVE.includes(status), waiting.includes(status)];
    expect(kinds.filter(Boolean), status).toHaveLength(1);
    expect(hasEnded(status)).toBe(ENDED.includes(status));
  }
});
