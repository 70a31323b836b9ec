// What a check of the whole system found wrong: where, and what about it.
export interface Fault {
  /** names the thing so that a person finds it: `audit row 17`, `page 3 of batch …` */
  place: string;
  what: string;
}
