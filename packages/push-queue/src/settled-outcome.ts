/** How notifications end, as totals and metrics tell them apart. */
export const settledOutcomes = [
  'accepted-proved',
  'accepted-presumed',
  'rejected',
  'expired',
  'cancelled',
  'dead',
] as const;
export type SettledOutcome = (typeof settledOutcomes)[number];
