import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { fieldErrors, summarize } from './field-errors.ts';
import { Problem } from './problem.ts';

const places: Readonly<Record<string, string>> = { querystring: 'query' };

/** Checks a part of a request by its zod schema; what is wrong becomes one Problem that names every field. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = 'body' }) => {
  const place = places[httpPart] ?? httpPart;
  return (value) => {
    // A request without a body has null for one.
    const parsed = schema.safeParse(value ?? undefined, { reportInput: true });
    if (parsed.success) return { value: parsed.data };
    const errors = fieldErrors(parsed.error, place);
    return { error: new Problem('invalid-request', summarize(errors), { errors }) };
  };
};
