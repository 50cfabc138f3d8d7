import { z } from 'zod';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const durationText = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const explanation = 'must be a duration such as 500ms, 30s, 10m, 1h or 1d';

/** A duration: milliseconds as a number, or text such as `500ms`, `30s`, `10m`, `1h`, `1d`. Returns milliseconds. */
export const durationSchema = z
  .union([z.int().min(0), z.string()], { error: explanation })
  .transform((value, context) => {
    if (typeof value === 'number') return value;
    const [, amount, unit] = durationText.exec(value) ?? [];
    if (amount !== undefined) return Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
    context.addIssue({ code: 'custom', message: explanation });
    return z.NEVER;
  });
