import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../http/problem.ts';
import { authorizeScope, everything, scopeOf } from './grant.ts';
import type { KeyRing } from './key-ring.ts';

export interface KeyRequirement {
  readonly keyRing: KeyRing;
  /** Requests a second that a key may make at this producer, where the key says nothing; 0: any number. */
  readonly ratePerSecond: number;
}

/** Larger than any rate: no limit. */
const unlimited = 1_000_000_000;

/** Every request needs a key that is good for it, and stays within its rate. Undefined: no request needs one. */
export async function requireKeys(
  app: FastifyInstance,
  requirement: KeyRequirement | undefined,
): Promise<void> {
  if (requirement === undefined) {
    app.decorateRequest('grant', { getter: () => everything });
    return;
  }
  // biome-ignore lint/suspicious/noExplicitAny: set before any route sees it; Fastify wants no shared object here.
  app.decorateRequest('grant', null as any);
  const { keyRing, ratePerSecond } = requirement;
  app.addHook('onRequest', (request, _reply, done) => {
    // Of routes that there are not nothing is told without a key either.
    const scope = request.is404 ? 'read' : scopeOf(request.method, request.routeOptions.url ?? '');
    request.grant = everything;
    if (scope !== undefined) {
      request.grant = keyRing.verify(request.headers.authorization);
      if (!request.is404) authorizeScope(request.grant, scope);
    }
    done();
  });
  await app.register(rateLimit, {
    enableDraftSpec: true,
    timeWindow: 1_000,
    max: ({ grant }) => grant.ratePerSecond ?? (ratePerSecond === 0 ? unlimited : ratePerSecond),
    keyGenerator: ({ grant, ip }) => grant.keyId ?? ip,
    allowList: ({ grant }) => grant.ratePerSecond === undefined && ratePerSecond === 0,
    errorResponseBuilder: (_request, { max }) =>
      new Problem('rate-limited', `the key may make ${max} requests a second here`, { retryAfterSeconds: 1 }),
  });
}
