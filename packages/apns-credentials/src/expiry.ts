const dayMs = 86_400_000;

/** Days before the end at which somebody should be told; 0: it has expired. */
export const expiryThresholdsDays = [30, 14, 7, 1, 0] as const;
export type ExpiryThreshold = (typeof expiryThresholdsDays)[number];

/** Days until `notAfter`, with fractions; negative after it. */
export function daysLeft(notAfter: Date, nowMs: number = Date.now()): number {
  return (notAfter.getTime() - nowMs) / dayMs;
}

/** The last threshold that has been reached; none while there is time. */
export function expiryThreshold(notAfter: Date, nowMs: number = Date.now()): ExpiryThreshold | undefined {
  const days = daysLeft(notAfter, nowMs);
  return expiryThresholdsDays.findLast((threshold) => days <= threshold);
}
