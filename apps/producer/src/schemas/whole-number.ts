import { z } from 'zod';

/**
 * A whole number of a query, from `min` to `max`, as digits and nothing else: `Number` would also take ` 1`, `0x10`, `1e2`
 * and the empty text.
 */
export function wholeNumber({ min, max, byDefault }: { min: number; max?: number; byDefault: number }) {
  const number = z.int().min(min);
  return z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
      // Here for the document, and outside so that it may be left out.
      (max === undefined ? number : number.max(max)).default(byDefault),
    )
    .default(byDefault);
}
