import type { ApiKeyScope } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../http/problem.ts';

/** What a request may do. */
export interface Grant {
  /** Of the key; undefined: keys are off. */
  readonly keyId: string | undefined;
  readonly keyName: string | undefined;
  /** Undefined: all. */
  readonly apps: ReadonlySet<string> | undefined;
  /** Those of a newer version are good for nothing. */
  readonly scopes: ReadonlySet<string>;
  readonly ratePerSecond: number | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    grant: Grant;
  }
  interface FastifyContextConfig {
    /** What a key needs for the route, all of it; empty: it needs no key, and tells nothing of anybody. */
    scopes?: readonly ApiKeyScope[];
  }
}

/** Where keys are off, everybody may do everything. */
export const everything: Grant = {
  keyId: undefined,
  keyName: undefined,
  apps: undefined,
  scopes: new Set<ApiKeyScope>(['admin']),
  ratePerSecond: undefined,
};

export function hasScope({ scopes }: Grant, scope: ApiKeyScope): boolean {
  return scopes.has(scope) || scopes.has('admin');
}

/** @throws Problem `forbidden` */
export function authorizeScopes(grant: Grant, needed: readonly ApiKeyScope[]): void {
  const missing = needed.find((scope) => !hasScope(grant, scope));
  if (missing !== undefined) throw new Problem('forbidden', `the key has not the scope ${missing}`);
}

/** Whether an app is there for the key. What is another app's is answered as what is not there at all. */
export function isVisible({ grant }: Pick<FastifyRequest, 'grant'>, app: string): boolean {
  return grant.apps?.has(app) ?? true;
}
