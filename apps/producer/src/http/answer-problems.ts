import type { Logger } from '@pushfleet/service-kit';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';
import { problemOf } from './problem-of.ts';

/** Answers every error as problem+json, and logs those that are ours. */
export function answerProblems(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request) => {
    throw new Problem('no-route', `there is no ${request.method} ${pathOf(request.url)}`);
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) {
      const { method, routeOptions, id: requestId } = request;
      const fields = { requestId, method, route: routeOptions.url, code: problem.code };
      if (problem.code === 'internal') logger.error({ ...fields, err: problem.cause }, 'request failed');
      else logger.warn({ ...fields, reason: problem.message }, 'request refused');
    }
    if (problem.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
    return reply
      .code(problem.status)
      .type('application/problem+json')
      .serializer(JSON.stringify)
      .send(problem.toBody(request.id));
  });
}

/** Queries may hold what is nobody's business. */
function pathOf(url: string): string {
  return url.split('?', 1)[0]!;
}
