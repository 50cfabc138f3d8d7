import type { ApiKeyScope } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../http/problem.ts';

/** What a request may do. */
export interface Grant {
  /** Of the key; undefined: keys are off. */
  readonly keyId: string | undefined;
  /** Undefined: all. */
  readonly apps: ReadonlySet<string> | undefined;
  readonly scopes: ReadonlySet<ApiKeyScope>;
  readonly ratePerSecond: number | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    grant: Grant;
  }
}

/** Where keys are off, everybody may do everything. */
export const everything: Grant = {
  keyId: undefined,
  apps: undefined,
  scopes: new Set<ApiKeyScope>(['admin']),
  ratePerSecond: undefined,
};

/** @throws Problem `forbidden` */
export function authorizeApp({ grant }: FastifyRequest, app: unknown): void {
  if (grant.apps === undefined || grant.apps.has(app as string)) return;
  throw new Problem('forbidden', 'the key is not for this app');
}

/** @throws Problem `forbidden` */
export function authorizeScope({ scopes }: Grant, scope: ApiKeyScope): void {
  if (scopes.has(scope) || scopes.has('admin')) return;
  throw new Problem('forbidden', `the key has not the scope ${scope}`);
}

/** Which scope a route needs. What is not named needs `admin`; undefined: none, it tells nothing of anybody. */
export function scopeOf(method: string, route: string): ApiKeyScope | undefined {
  if (!route.startsWith('/v1/')) return undefined;
  if (route.startsWith('/v1/devices')) return 'devices';
  const isRead = method === 'GET' || method === 'HEAD';
  if (/^\/v1\/(notifications|batches|broadcasts)/.test(route)) return isRead ? 'read' : 'send';
  if (route === '/v1/uploads') return 'send';
  if ((route === '/v1/apps' || route === '/v1/apps/:app') && isRead) return 'read';
  return 'admin';
}
