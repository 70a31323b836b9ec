import type { Plan, Tier } from './plan.ts';
import { nothing, type Outcome } from './tally.ts';
export async function openReal(
  _tier: Tier,
): Promise<{ run: (plan: Plan) => Promise<Outcome>; close(): Promise<void> }> {
  return { run: async () => nothing(), close: async () => undefined };
}
