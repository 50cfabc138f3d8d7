import Fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { listenAt } from './listen.ts';

/** Why a service is not well; empty: it is. */
export type HealthReasons = readonly string[];

export interface AdminServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly register: Registry;
  /** Whether the process can go on at all; while there are reasons, an orchestrator should restart it. */
  readonly liveness?: () => HealthReasons;
  /** Whether it does its work now. */
  readonly readiness: () => HealthReasons;
  /** Adds what else the service serves to its operators. */
  readonly extend?: ((server: FastifyInstance) => Promise<void>) | undefined;
  /** Facts for people beside the reasons, such as which apps rest and why. */
  readonly details?: () => Readonly<Record<string, unknown>>;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `/metrics` (Prometheus), `/livez` and `/readyz` (200, or 503 with the reasons).
 * @throws ServiceError when the address cannot be listened at
 */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { register } = options;
  // Connections that scrapers keep open must not hold the stop up.
  const server = Fastify({ forceCloseConnections: true, requestTimeout: 10_000 });
  server.get('/metrics', async (_, reply) => {
    void reply.type(register.contentType);
    return register.metrics();
  });
  const probe = (path: string, reasonsOf: () => HealthReasons) =>
    server.get(path, async (_, reply) => {
      const reasons = reasonsOf();
      void reply.code(reasons.length === 0 ? 200 : 503);
      return { status: reasons.length === 0 ? 'ok' : 'unavailable', reasons, ...options.details?.() };
    });
  probe('/livez', options.liveness ?? (() => []));
  probe('/readyz', options.readiness);
  await options.extend?.(server);
  const port = await listenAt(server, options, 'PUSHFLEET_ADMIN_PORT');
  return { port, close: async () => server.close() };
}
