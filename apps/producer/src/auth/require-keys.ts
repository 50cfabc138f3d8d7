import type { FastifyInstance, FastifyReply, RouteOptions } from 'fastify';
import { Problem } from '../http/problem.ts';
import { authorizeScopes, everything, type Grant } from './grant.ts';
import type { KeyRing } from './key-ring.ts';
import type { NotificationRates } from './notification-rates.ts';
import { RateLimiter } from './rate-limiter.ts';

export interface KeyRequirement {
  readonly keyRing: KeyRing;
  /** Requests a second that a key may make at this producer, where the key says nothing; 0: any number. */
  readonly ratePerSecond: number;
  /** Notifications a second; absent: any number. */
  readonly notificationRates?: NotificationRates | undefined;
}

/** Requests a second of one address to what needs no key. */
const openRate = 20;

/**
 * Every request needs a key that is good for it, and stays within its rate. Undefined: no request needs one. A route
 * that is added afterwards and declares no scopes is an error, so that none is open by oversight.
 */
export function requireKeys(app: FastifyInstance, requirement: KeyRequirement | undefined): void {
  app.addHook('onRoute', checkDeclared);
  const limiter = new RateLimiter();
  // biome-ignore lint/suspicious/noExplicitAny: set before any route sees it; Fastify wants no shared object here.
  app.decorateRequest('grant', null as any);
  app.addHook('onRequest', (request, reply, done) => {
    const { is404, routeOptions } = request;
    request.grant = everything;
    // Of routes that there are not nothing is told without a key either.
    const scopes = is404 ? undefined : routeOptions.config.scopes!;
    if (scopes?.length === 0) limitRate(limiter, `address ${request.ip}`, openRate, reply);
    else if (requirement !== undefined) {
      request.grant = requirement.keyRing.verify(request.headers.authorization);
      const { keyId, ratePerSecond = requirement.ratePerSecond }: Grant = request.grant;
      if (ratePerSecond > 0) limitRate(limiter, `key ${keyId}`, ratePerSecond, reply);
      if (scopes !== undefined) authorizeScopes(request.grant, scopes);
    }
    done();
  });
}

function checkDeclared({ method, url, config }: RouteOptions): void {
  const isOpen = config?.scopes?.length === 0;
  if (config?.scopes === undefined || (isOpen && url.startsWith('/v1/'))) {
    throw new Error(`the route ${method} ${url} does not declare what a key needs for it`);
  }
}

/** Headers of draft-ietf-httpapi-ratelimit-headers (-03, the form that is in use). @throws Problem `rate-limited` */
function limitRate(limiter: RateLimiter, caller: string, limit: number, reply: FastifyReply): void {
  const { isAllowed, remaining, resetSeconds } = limiter.take(caller, limit);
  void reply
    .header('ratelimit-limit', limit)
    .header('ratelimit-remaining', remaining)
    .header('ratelimit-reset', resetSeconds);
  if (isAllowed) return;
  throw new Problem('rate-limited', `${limit} requests a second may be made here`, {
    retryAfterSeconds: resetSeconds,
  });
}
