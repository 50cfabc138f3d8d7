import { STATUS_CODES } from 'node:http';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Registry } from 'prom-client';
import { readBuildInfo } from './build-info.ts';
import { foreignRequest, isLoopback } from './foreign-requests.ts';
import { listenAt } from './listen.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Somebody may be led to this page by a link of another one, such as an alert's. */
    mayBeLinked?: boolean;
  }
}

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
 * Serves `/metrics` (Prometheus), `/livez` and `/readyz` (200, or 503 with the reasons; both say which build runs). What
 * else is asked for is answered with 404 as problem+json (RFC 9457), which names what there is.
 * @throws ServiceError when the address cannot be listened at
 */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { register } = options;
  // Connections that scrapers keep open must not hold the stop up.
  const server = Fastify({ forceCloseConnections: true, requestTimeout: 10_000 });
  const build = readBuildInfo();
  answerProblems(server);
  const hosts = isLoopback(options.host) ? [] : undefined;
  // Answered here, whatever scope the path is of: the board has words of its own for errors.
  server.addHook('onRequest', async (request, reply) => {
    const wrong = foreignRequest(request.headers, hosts, request.routeOptions.config?.mayBeLinked);
    if (wrong !== undefined)
      await answer(request, reply, 403, 'foreign-request', `the request is refused: ${wrong}`);
  });
  server.get('/metrics', async (_, reply) => {
    void reply.type(register.contentType);
    return register.metrics();
  });
  const probe = (path: string, reasonsOf: () => HealthReasons) =>
    server.get(path, async (_, reply) => {
      const reasons = reasonsOf();
      void reply.code(reasons.length === 0 ? 200 : 503);
      const status = reasons.length === 0 ? 'ok' : 'unavailable';
      return { status, reasons, build, ...options.details?.() };
    });
  probe('/livez', options.liveness ?? (() => []));
  probe('/readyz', options.readiness);
  await options.extend?.(server);
  const port = await listenAt(server, options, 'PUSHFLEET_ADMIN_PORT');
  return { port, close: async () => server.close() };
}

/** Errors in the form of the HTTP API, those of unknown paths first. */
function answerProblems(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0];
    const detail = `there is no ${request.method} ${path} here: the admin port serves /metrics, /livez and /readyz`;
    return answer(request, reply, 404, 'no-route', detail);
  });
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return answer(request, reply, status, 'invalid-request', error.message);
    return answer(request, reply, status, 'internal', 'the service could not answer: its log says why');
  });
}

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  code: string,
  detail: string,
): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .serializer((problem: unknown) => JSON.stringify(problem))
    .send({
      type: `urn:pushfleet:problem:${code}`,
      title: STATUS_CODES[status],
      status,
      code,
      detail,
      requestId: request.id,
    });
}
