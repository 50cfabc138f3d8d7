import type { Logger } from '@pushfleet/service-kit';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasBody } from './body-types.ts';
import type { KnownRoutes } from './known-routes.ts';
import type { Problem } from './problem.ts';
import { problemOf } from './problem-of.ts';

/** Answers every error as problem+json, and logs those that are ours. */
export function answerProblems(app: FastifyInstance, logger: Logger, routes: KnownRoutes): void {
  app.setNotFoundHandler((request) => {
    throw routes.problemOf(request.method, request.url);
  });
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, logger));
}

/** Also for errors from before a route is found. */
export function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  const problem = problemOf(error);
  // The rest of the body would be taken for the next request, or keep the connection waiting.
  if (hasBody(request) && !request.raw.complete) void reply.header('connection', 'close');
  logProblem(problem, request, logger);
  void reply.header('x-request-id', request.id);
  return reply
    .code(problem.status)
    .headers(problem.headers())
    .serializer(JSON.stringify)
    .send(problem.toBody(request.id));
}

function logProblem(problem: Problem, request: FastifyRequest, logger: Logger): void {
  if (problem.status < 500) return;
  const { method, routeOptions, id: requestId } = request;
  const fields = { requestId, method, route: routeOptions.url, code: problem.code };
  if (isClientGone(request, problem.cause))
    logger.debug(fields, 'the client went away before its request ended');
  else if (problem.code === 'internal') logger.error({ ...fields, err: problem.cause }, 'request failed');
  else logger.warn({ ...fields, reason: problem.message }, 'request refused');
}

/** A body that ended in the middle is no failure of ours. */
function isClientGone({ raw }: FastifyRequest, cause: unknown): boolean {
  const { code } = (cause ?? {}) as Partial<FastifyError>;
  return !raw.complete && raw.destroyed && (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE');
}
