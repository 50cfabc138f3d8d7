import { quotaNames } from '@pushfleet/push-queue';
import { z } from 'zod';
import { type ProblemCode, problemKinds } from '../http/problem.ts';

const limits = Object.values(quotaNames).flatMap((names) => Object.values(names));

const problemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(problemKinds) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string(),
    requestId: z.string(),
    errors: z.array(z.strictObject({ field: z.string(), message: z.string() })).optional(),
    maybeStored: z.boolean().optional().meta({
      description:
        'It may have been stored nevertheless: repeat the request only with the same idempotency key.',
    }),
    quota: z
      .strictObject({ limit: z.enum(limits), max: z.int(), used: z.int(), asked: z.int() })
      .optional()
      .meta({
        description:
          'Of `quota-exceeded`: the limit by its name in the configuration, what the app has of it, and what the request would have added. More than `max` never fits: make smaller requests.',
      }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457; `code` is stable.' });

/** Of every route that has a body. */
export const bodyProblems = ['invalid-json', 'body-too-large', 'unsupported-media-type'] as const;

/** Of every route, where keys are on. */
const keyProblems = [
  'unauthorized',
  'forbidden',
  'foreign-request',
  'rate-limited',
  'keys-unavailable',
] as const;

/** The answers of a route that are not what was asked for, by status. */
export function problems(...codes: readonly ProblemCode[]): Record<string, ProblemAnswer> {
  const byStatus = Map.groupBy(new Set([...codes, ...keyProblems]), (code) => problemKinds[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, kinds]) => [
      status,
      {
        description: kinds.map((code) => `\`${code}\`: ${problemKinds[code].title}`).join('. '),
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  );
}

interface ProblemAnswer {
  readonly description: string;
  readonly content: { readonly 'application/problem+json': { readonly schema: typeof problemSchema } };
}
