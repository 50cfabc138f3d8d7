import type { FastifyInstance, FastifyReply } from 'fastify';
import type { z } from 'zod';

interface FieldProblem {
  /** Path of the field in the body, such as `rules[0].action.status`; empty for the body itself. */
  readonly field: string;
  readonly message: string;
}

/** A request cannot be served. Answered as problem+json (RFC 9457). */
export class Problem extends Error {
  readonly status: number;
  readonly errors: readonly FieldProblem[];

  constructor(status: number, message: string, errors: readonly FieldProblem[] = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** @throws Problem that names every field that is wrong. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const result = schema.safeParse(body === undefined ? {} : body);
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap(problemsOf);
  throw new Problem(
    400,
    errors.map(({ field, message }) => `${field || 'body'}: ${message}`).join('; '),
    errors,
  );
}

/** An unknown field is named itself, and not the object that it stands in. */
function problemsOf(issue: z.core.$ZodIssue): FieldProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: formatPath([...issue.path, key]),
      message: 'is not a known field',
    }));
  }
  return [{ field: formatPath(issue.path), message: issue.message }];
}

/** Answers every error as problem+json. */
export function answerProblems(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) =>
    send(reply, new Problem(404, `there is no ${request.method} ${request.url}`)),
  );
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (error instanceof Problem) return send(reply, error);
    // Fastify's own: a body that is no JSON, too long, or of another type.
    return send(reply, new Problem(error.statusCode ?? 500, error.message));
  });
}

async function send(reply: FastifyReply, { status, message, errors }: Problem): Promise<FastifyReply> {
  return reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', status, detail: message, errors }));
}

function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`))
    .join('');
}
