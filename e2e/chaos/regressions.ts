// Plans that once failed, made small. They are played again by the tests.
import fs from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { ROOT } from '../support/places.ts';
import { LINE_FAULTS, PLACE_FAULTS, type Plan } from './plan.ts';

const FILE = path.join(ROOT, 'e2e', 'chaos', 'regressions.json');

const Plans = v.array(
  v.object({
    tier: v.picklist(['fast', 'real', 'browser']),
    seed: v.number(),
    faults: v.array(
      v.object({
        kind: v.picklist([...LINE_FAULTS, ...PLACE_FAULTS]),
        after: v.number(),
        at: v.number(),
        how: v.number(),
      }),
    ),
  }),
);

export const readRegressions = (): Plan[] => v.parse(Plans, JSON.parse(fs.readFileSync(FILE, 'utf8')));

/** @returns where it is kept */
export function keepRegression(plan: Plan): string {
  const plans = readRegressions();
  const same = (one: Plan): boolean => JSON.stringify(one) === JSON.stringify(plan);
  if (!plans.some(same)) fs.writeFileSync(FILE, `${JSON.stringify([...plans, plan], null, 2)}\n`);
  return path.relative(ROOT, FILE);
}
