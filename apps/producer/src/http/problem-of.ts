import {
  describeRedisTrouble,
  PushQueueError,
  type PushQueueErrorCode,
  redisTroubleOf,
} from '@pushfleet/push-queue';
import { TokenStoreError } from '@pushfleet/token-store';
import { Problem, type ProblemCode } from './problem.ts';

const queueProblems: Readonly<Record<PushQueueErrorCode, ProblemCode>> = {
  'invalid-notification': 'invalid-notification',
  'unknown-app': 'unknown-app',
  'idempotency-conflict': 'idempotency-conflict',
  backpressure: 'backpressure',
  'redis-unavailable': 'redis-unavailable',
  'redis-timeout': 'redis-timeout',
  closed: 'stopping',
};

/** Fastify's own errors that say something about the request. */
const fastifyProblems: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
};

/** What a client is told of an error. `internal` for what is nobody's fault but ours; its cause is kept for the log. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof PushQueueError) return queueProblem(error);
  if (error instanceof TokenStoreError && error.isTransient) {
    return new Problem('database-unavailable', 'Postgres cannot be reached', { cause: error });
  }
  const trouble = redisTroubleOf(error);
  if (trouble !== undefined) {
    return new Problem('redis-unavailable', describeRedisTrouble(trouble), { cause: error });
  }
  if (error instanceof Error) {
    const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
    const known = typeof code === 'string' ? fastifyProblems[code] : undefined;
    if (known !== undefined) return new Problem(known, error.message);
    // Of the body's parser, which gives no code of its own.
    if (error instanceof SyntaxError && statusCode === 400) {
      return new Problem('invalid-json', 'the body is not valid JSON');
    }
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return new Problem('invalid-request', error.message);
    }
  }
  return new Problem('internal', 'Something went wrong here, and is logged under the id of the request', {
    cause: error,
  });
}

function queueProblem(error: PushQueueError): Problem {
  const { field, maybeStored } = error;
  const message = field === undefined ? error.message : error.message.slice(field.length + 2);
  return new Problem(queueProblems[error.code], error.message, {
    cause: error,
    maybeStored,
    ...(field === undefined ? {} : { errors: [{ field, message }] }),
  });
}
