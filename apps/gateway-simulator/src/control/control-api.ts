import { Readable } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { FaultBook } from '../faults/fault-book.ts';
import { faultsBodySchema } from '../faults/fault-schema.ts';
import { type FeedbackStore, FeedbackStoreFullError } from '../feedback/feedback-store.ts';
import type { ChannelStore } from '../http2/channels/channel-store.ts';
import type { ProviderTokenVerifier } from '../http2/provider-token-verifier.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { NotificationLog } from '../ledger/notification-log.ts';
import type { GatewayPort } from '../tls/gateway-port.ts';
import { type ProviderKeys, providerKeyIdsSchema } from '../tls/provider-keys.ts';
import { type TlsDirectory, TlsDirectoryError } from '../tls/tls-directory.ts';
import { answerProblems, Problem, parseBody } from './problem.ts';

export interface ControlContext {
  readonly ledger: Ledger;
  readonly log: NotificationLog;
  readonly faults: FaultBook;
  readonly feedback: FeedbackStore;
  readonly ports: readonly GatewayPort[];
  readonly tlsDirectory: TlsDirectory;
  readonly providerKeys: ProviderKeys;
  readonly verifier: ProviderTokenVerifier;
  readonly channels: ChannelStore;
}

const tupleSchema = z.strictObject({
  token: z.string().regex(/^([0-9a-f]{2}){1,100}$/i, 'must be hexadecimal, 1 to 100 bytes'),
  /** Epoch seconds. */
  time: z.int().min(0).max(0xffff_ffff),
});

/** The tuples alone, or with the topic of the app that they are for; without one they are for whoever asks first. */
const feedbackBodySchema = z.preprocess(
  (body) => (Array.isArray(body) ? { tuples: body } : body),
  z.strictObject({ app: z.string().min(1).optional(), tuples: z.array(tupleSchema) }),
);

const noFieldsSchema = z.strictObject({});

const recordingBodySchema = z.strictObject({ limit: z.int().min(0).max(10_000_000) });

/** Of the files in `apps/`. */
const fileName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 characters of a-z, 0-9 and -');

const providerKeyBodySchema = providerKeyIdsSchema.extend({ name: fileName });

const certificateBodySchema = z.strictObject({
  name: fileName,
  topic: z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 characters of ASCII without spaces'),
  environments: z.array(z.enum(['development', 'production'])).default(['development', 'production']),
});

/** Longest body, bytes: some 200,000 feedback tuples. */
const bodyLimit = 32 * 1_024 * 1_024;

/** The control API (`apps/gateway-simulator/README.md`). Not listening yet. */
export function createControlApi(context: ControlContext): FastifyInstance {
  const { ledger, log, faults, feedback, ports, tlsDirectory, providerKeys, verifier, channels } = context;
  const app = fastify({ bodyLimit, forceCloseConnections: true });
  answerProblems(app);

  app.get('/ledger', () => {
    const totals = ledger.totals();
    const recorded = log.entries.length;
    return { ...totals, recorded, apps: ledger.apps() };
  });

  app.get('/ledger/notifications', async (_request, reply) => {
    reply.type('application/x-ndjson');
    // A copy of the list: what comes in while it is sent changes nothing.
    return reply.send(Readable.from(toLines([...log.entries])));
  });

  app.post('/ledger/recording', (request) => {
    log.limit = parseBody(recordingBodySchema, request.body).limit;
    return { limit: log.limit, recorded: log.entries.length };
  });

  const showFaults = () => ({
    rules: faults.rules.map(({ id, rule, fired, isInForce }) => ({ id, fired, inForce: isInForce, ...rule })),
  });
  app.get('/faults', showFaults);
  app.post('/faults', async (request) => {
    const { rules, add } = parseBody(faultsBodySchema, request.body);
    await (add ? faults.add(rules) : faults.replace(rules));
    return showFaults();
  });

  app.get('/feedback', () => ({ waiting: feedback.count }));
  app.post('/feedback', (request) => {
    const { tuples, app: topic } = parseBody(feedbackBodySchema, request.body);
    try {
      feedback.add(tuples, topic);
    } catch (error) {
      if (error instanceof FeedbackStoreFullError) throw new Problem(409, error.message);
      throw error;
    }
    return { waiting: feedback.count };
  });

  app.get('/connections', () =>
    Object.fromEntries(ports.map((port) => [port.name, { ...port.counts, open: port.open }])),
  );

  app.post('/certificates', async (request) => {
    const { name, topic, environments } = parseBody(certificateBodySchema, request.body);
    return withConflicts(async () => tlsDirectory.issueClientCertificate(name, topic, environments));
  });

  app.post('/provider-keys', async (request) => {
    const { name, ...ids } = parseBody(providerKeyBodySchema, request.body);
    return withConflicts(async () => providerKeys.add(name, ids));
  });

  app.post('/reset', async (request) => {
    parseBody(noFieldsSchema, request.body);
    await faults.replace([]);
    ledger.reset();
    log.reset();
    feedback.reset();
    verifier.reset();
    channels.reset();
    for (const port of ports) port.restartNumbering();
    return { reset: true };
  });
  return app;
}

/** What the directory of certificates cannot do is answered as 409. */
async function withConflicts<T>(make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof TlsDirectoryError) throw new Problem(409, error.message);
    throw error;
  }
}

/** JSON lines, joined to chunks that are worth a write. */
function* toLines(entries: readonly object[]): Generator<string> {
  for (let at = 0; at < entries.length; at += 500) {
    yield `${entries
      .slice(at, at + 500)
      .map((entry) => JSON.stringify(entry))
      .join('\n')}\n`;
  }
}
