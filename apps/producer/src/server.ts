import { randomUUID } from 'node:crypto';
import { foreignRequest, type OwnHosts } from '@pushfleet/service-kit';
import fastify, {
  type FastifyInstance,
  type FastifySchemaCompiler,
  type onResponseHookHandler,
} from 'fastify';
import type { z } from 'zod';
import { requireKeys } from './auth/require-keys.ts';
import type { ProducerContext } from './context.ts';
import { answerClientError } from './http/answer-client-errors.ts';
import { answerProblem, answerProblems } from './http/answer-problems.ts';
import { BodyBudget, roomForBodies } from './http/body-budget.ts';
import { hasBody, readJsonBodies } from './http/body-types.ts';
import { endConnections } from './http/end-connections.ts';
import { fieldErrors, summarize } from './http/field-errors.ts';
import { KnownRoutes } from './http/known-routes.ts';
import { describeApi } from './http/openapi.ts';
import { invalidRequest, Problem } from './http/problem.ts';
import { type ProducerServer, typed } from './http/typed-server.ts';
import type { RequestObserver } from './request-durations.ts';
import { addAppRoutes } from './routes/apps.ts';
import { addAuditRoutes } from './routes/audit.ts';
import { addBroadcastRoutes } from './routes/broadcasts.ts';
import { addBulkDeadLetterRoutes } from './routes/bulk-dead-letters.ts';
import { addCancellationRoutes } from './routes/cancellations.ts';
import { addDeadLetterRoutes } from './routes/dead-letters.ts';
import { addDeviceRoutes } from './routes/devices.ts';
import { addExceptionSearchRoute } from './routes/exception-search.ts';
import { addExceptionRoutes } from './routes/exceptions.ts';
import { addImportRoutes } from './routes/imports.ts';
import { addNotificationRoutes } from './routes/notifications.ts';
import { addStatusRoutes } from './routes/status.ts';
import { addWebhookRoutes } from './routes/webhooks.ts';
import { traceRequests } from './tracing/trace-requests.ts';

/** Longest body where no route says otherwise, bytes. */
const bodyLimit = 1024 * 1024;

/** The HTTP API. Not listening yet. */
export async function createServer(context: ProducerContext): Promise<ProducerServer> {
  const requestIds = createRequestIds();
  const app = fastify({
    bodyLimit,
    // Refused below, in the form of this API.
    http: { requireHostHeader: false },
    // Imports may have a body of gigabytes; a connection that says nothing for long is given up.
    requestTimeout: 3_600_000,
    connectionTimeout: 120_000,
    keepAliveTimeout: 72_000,
    // Idle connections must not hold the stop up; those that are being served are waited for.
    forceCloseConnections: 'idle',
    genReqId: requestIds.ofRequest,
    trustProxy: [...(context.trustedProxies ?? [])],
    // A device token of 512 bytes in hex; longer ones are of no route.
    routerOptions: { maxParamLength: 1_100 },
    exposeHeadRoutes: false,
    // Answered below, in the form of this API.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void answerProblem(error, request, reply, context.logger),
    clientErrorHandler: (error, socket) => answerClientError(error, socket, requestIds.next),
  });
  // What else than 100-continue a client expects is nothing to us; Node.js would refuse it in words of its own.
  // Asked for once it is known as long as the socket lives, also when the client has gone.
  app.server.on('connection', (socket) => void socket.remoteAddress);
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  readJsonBodies(app, {
    budget: new BodyBudget(context.maxBodyBytes ?? roomForBodies()),
    timeoutMs: context.bodyTimeoutMs,
  });
  app.setValidatorCompiler(compileValidator);
  // Answers are checked against their schemas by tests, not on every request.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  const routes = new KnownRoutes();
  routes.watch(app);
  answerProblems(app, context.logger, routes);
  observeRequests(app, context);
  endConnections(app, { drainMs: context.drainMs });
  refuseWhileClosing(app);
  if (context.tracer !== undefined) traceRequests(app, context.tracer);
  if (context.keys === undefined) refuseForeign(app, context.hosts);
  requireKeys(app, context.keys);
  await describeApi(app, { keys: context.keys !== undefined });
  const server = typed(app);
  addNotificationRoutes(server, context);
  addDeviceRoutes(server, context);
  await addImportRoutes(server, context);
  addStatusRoutes(server, context);
  addCancellationRoutes(server, context);
  addExceptionRoutes(server, context);
  addExceptionSearchRoute(server, context);
  addBroadcastRoutes(server, context);
  addAppRoutes(server, context);
  addDeadLetterRoutes(server, context);
  addBulkDeadLetterRoutes(server, context);
  addWebhookRoutes(server, context);
  addAuditRoutes(server, context);
  await app.ready();
  return server;
}

interface RequestIds {
  /** A caller's own id where it has one that is fit for logs, else one of ours. */
  readonly ofRequest: (request: { headers: NodeJS.Dict<string | string[]> }) => string;
  /** One of ours: a random part per process, and a number. */
  readonly next: () => string;
}

function createRequestIds(): RequestIds {
  const base = randomUUID().slice(0, 13);
  let count = 0;
  const next = () => {
    count += 1;
    return `${base}-${count.toString(36)}`;
  };
  const ofRequest: RequestIds['ofRequest'] = ({ headers }) => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : next();
  };
  return { ofRequest, next };
}

/** Requests on connections that are still open when the server closes. */
function refuseWhileClosing(app: FastifyInstance): void {
  let isClosing = false;
  app.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  app.addHook('onRequest', (_request, reply, done) => {
    if (!isClosing) {
      done();
      return;
    }
    void reply.header('connection', 'close');
    done(new Problem('stopping', 'the service is being stopped: repeat the request on another connection'));
  });
}

/** Without keys, whoever is on this machine may do everything: web pages that its browsers show may not. */
function refuseForeign(app: FastifyInstance, hosts: OwnHosts): void {
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    const wrong = foreignRequest(headers, hosts);
    done(
      wrong === undefined ? undefined : new Problem('foreign-request', `the request is refused: ${wrong}`),
    );
  });
}

/** Hooks per route, so that a request does not have to find out whose it is. */
function observeRequests(app: FastifyInstance, { metrics }: ProducerContext): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    // Such a body is not read, and would be in the way of the next request.
    if (request.method === 'GET' && hasBody(request)) void reply.header('connection', 'close');
    const hasHost = request.headers.host !== undefined || request.raw.httpVersion === '1.0';
    if (hasHost) done();
    else done(invalidRequest('Host', 'must be there'));
  });
  const hookOf =
    (observe: RequestObserver): onResponseHookHandler =>
    (_request, reply, done) => {
      observe(reply.statusCode, reply.elapsedTime / 1_000);
      done();
    };
  app.addHook('onRoute', (route) => {
    const own = route.onResponse === undefined ? [] : [route.onResponse].flat();
    route.onResponse = [...own, hookOf(metrics.observerOf(String(route.method), route.url))];
  });
}

const places: Readonly<Record<string, string>> = { querystring: 'query' };

/** Checks a part of a request by its zod schema; what is wrong becomes one Problem that names every field. */
const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart = 'body' }) => {
  const place = places[httpPart] ?? httpPart;
  return (value) => {
    // A request without a body has null for one.
    const parsed = schema.safeParse(value ?? undefined, { reportInput: true });
    if (parsed.success) return { value: parsed.data };
    const errors = fieldErrors(parsed.error, place);
    return { error: new Problem('invalid-request', summarize(errors), { errors }) };
  };
};
