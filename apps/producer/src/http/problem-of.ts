import {
  describeRedisTrouble,
  PushQueueError,
  type PushQueueErrorCode,
  type QuotaRefusal,
  redisTroubleOf,
} from '@pushfleet/push-queue';
import { TokenStoreError } from '@pushfleet/token-store';
import { Problem, type ProblemCode } from './problem.ts';

const queueProblems: Readonly<Record<PushQueueErrorCode, ProblemCode>> = {
  'invalid-notification': 'invalid-notification',
  'unknown-app': 'unknown-app',
  'idempotency-conflict': 'idempotency-conflict',
  backpressure: 'backpressure',
  'quota-exceeded': 'quota-exceeded',
  'redis-unavailable': 'redis-unavailable',
  'redis-timeout': 'redis-timeout',
  closed: 'stopping',
};

/** Fastify's own errors that say something about the request. */
const fastifyProblems: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
  FST_ERR_BAD_URL: 'invalid-request',
  FST_ERR_MAX_PARAM_LENGTH: 'invalid-request',
};

/** Where Fastify's own words say too little, or repeat what may be a token. */
const words: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'path: is not well-formed percent-encoding',
  FST_ERR_MAX_PARAM_LENGTH: 'path: has a part that is longer than any id or device token',
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
    if (known !== undefined) return new Problem(known, words[code as string] ?? error.message);
    if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
      return new Problem('unsupported-media-type', 'Content-Type: must be application/json', {
        errors: [{ field: 'Content-Type', message: 'must be application/json' }],
      });
    }
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      // Not the words of a library: they may quote the request.
      return new Problem('invalid-request', 'the request cannot be read');
    }
  }
  return new Problem('internal', 'Something went wrong here, and is logged under the id of the request', {
    cause: error,
  });
}

/** Workers make room all the time, and what is scheduled goes when its time comes. What never fits is not to be repeated. */
function retryAfter({ limit, max, asked }: QuotaRefusal): { readonly retryAfterSeconds?: number } {
  if (asked > max) return {};
  return { retryAfterSeconds: limit.startsWith('maxScheduled') ? 60 : 5 };
}

function queueProblem(error: PushQueueError): Problem {
  const { field, maybeStored, quota } = error;
  const message = field === undefined ? error.message : error.message.slice(field.length + 2);
  return new Problem(queueProblems[error.code], error.message, {
    cause: error,
    maybeStored,
    ...(quota === undefined ? {} : { quota, ...retryAfter(quota) }),
    ...(field === undefined ? {} : { errors: [{ field, message }] }),
  });
}
