// How many rare things there are at most, from how many are expected.

/** Where terms are this small beside the largest, they and all that follow add nothing to the sum in binary fractions. */
const NOTHING = 1e-18;

/** The smallest n for which a Poisson count of mean `expected` is n or less in `share` of all cases. */
export function poissonQuantile(expected: number, share: number): number {
  if (expected <= 0) return 0;
  // From the likeliest count outwards, relative to it: e^-expected is no number above 745.
  const likeliest = Math.floor(expected);
  const down: number[] = [];
  for (let n = likeliest, term = 1; term > NOTHING && n >= 0; term *= n / expected, n--) down.push(term);
  const up: number[] = [];
  for (let n = likeliest + 1, term = expected / n; term > NOTHING; n++, term *= expected / n) up.push(term);
  const all = [...down.reverse(), ...up];
  const total = all.reduce((sum, term) => sum + term, 0);
  let sum = 0;
  const at = all.findIndex((term) => {
    sum += term;
    return sum >= share * total;
  });
  return likeliest - down.length + 1 + at;
}

/**
 * The one-sided upper bound of how many of many things are so, each with a chance of its own.
 *
 * Their number spreads less than a binomial of the same mean (W. Hoeffding, "On the distribution of the number of
 * successes in independent trials", Annals of Mathematical Statistics 27, 1956), and that one less than a Poisson (T. W.
 * Anderson and S. M. Samuels, "Some inequalities among binomial and Poisson probabilities", Fifth Berkeley Symposium, 1967):
 * from the mean upwards a Poisson's quantile holds whatever the chances are. That there is none at all is said where the
 * chances add up to no more than is left open. It takes for granted that one makes another no more likely.
 * @param expected sum of the chances, 0 or more
 * @param share of cases in which the bound holds, between 0.5 and 1
 */
export const mostOf = (expected: number, share: number): number =>
  expected <= 1 - share ? 0 : Math.max(1, poissonQuantile(expected, share));
