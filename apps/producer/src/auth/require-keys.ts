import type { FastifyInstance, FastifyReply } from 'fastify';
import { Problem } from '../http/problem.ts';
import { authorizeScope, everything, type Grant, scopeOf } from './grant.ts';
import type { KeyRing } from './key-ring.ts';
import { RateLimiter } from './rate-limiter.ts';

export interface KeyRequirement {
  readonly keyRing: KeyRing;
  /** Requests a second that a key may make at this producer, where the key says nothing; 0: any number. */
  readonly ratePerSecond: number;
}

/** Every request needs a key that is good for it, and stays within its rate. Undefined: no request needs one. */
export function requireKeys(app: FastifyInstance, requirement: KeyRequirement | undefined): void {
  if (requirement === undefined) {
    app.decorateRequest('grant', { getter: () => everything });
    return;
  }
  const { keyRing, ratePerSecond } = requirement;
  const limiter = new RateLimiter();
  // biome-ignore lint/suspicious/noExplicitAny: set before any route sees it; Fastify wants no shared object here.
  app.decorateRequest('grant', null as any);
  app.addHook('onRequest', (request, reply, done) => {
    const { is404, method, routeOptions } = request;
    const scope = is404 ? undefined : scopeOf(method, routeOptions.url ?? '');
    request.grant = everything;
    // Of routes that there are not nothing is told without a key either.
    if (is404 || scope !== undefined) {
      request.grant = keyRing.verify(request.headers.authorization);
      limitRate(limiter, request.grant, ratePerSecond, reply);
      if (scope !== undefined) authorizeScope(request.grant, scope);
    }
    done();
  });
}

/** Headers of draft-ietf-httpapi-ratelimit-headers (-03, the form that is in use). @throws Problem `rate-limited` */
function limitRate(limiter: RateLimiter, grant: Grant, usualRate: number, reply: FastifyReply): void {
  const limit = grant.ratePerSecond ?? usualRate;
  if (limit === 0 || grant.keyId === undefined) return;
  const { isAllowed, remaining, resetSeconds } = limiter.take(grant.keyId, limit);
  void reply
    .header('ratelimit-limit', limit)
    .header('ratelimit-remaining', remaining)
    .header('ratelimit-reset', resetSeconds);
  if (isAllowed) return;
  throw new Problem('rate-limited', `the key may make ${limit} requests a second here`, {
    retryAfterSeconds: resetSeconds,
  });
}
