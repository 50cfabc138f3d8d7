import { z } from 'zod';

const units = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
const sizeText = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/;
const explanation = 'must be a size such as 500KiB, 256MiB or 1GiB';

/** A size in memory: bytes as a number, or text such as `256MiB`. Returns bytes. */
export const bytesSchema = z
  .union([z.int().min(0), z.string()], { error: explanation })
  .transform((value, context) => {
    if (typeof value === 'number') return value;
    const [, amount, unit] = sizeText.exec(value) ?? [];
    if (amount !== undefined) return Math.round(Number(amount) * units[unit as keyof typeof units]);
    context.addIssue({ code: 'custom', message: explanation });
    return z.NEVER;
  });
