import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { trace } from '@opentelemetry/api';
import { fingerprintOf } from '@pushfleet/push-queue';
import { traceparentOf } from '@pushfleet/service-kit';
import {
  type Audience,
  type Broadcast,
  type BroadcastState,
  broadcastStates,
  pageOf,
} from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { entryOf } from '../audit/audit-origin.ts';
import { isVisible } from '../auth/grant.ts';
import { isStillGood } from '../auth/while-good.ts';
import { answerOf } from '../broadcasts/broadcast-answer.ts';
import { progressEvents } from '../broadcasts/progress-events.ts';
import { ProgressReadings } from '../broadcasts/progress-readings.ts';
import { finishCancelling } from '../broadcasts/settle-chunk.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { readIdempotencyKey } from '../notifications/idempotency-key.ts';
import {
  type BroadcastAnswer,
  broadcastPageSchema,
  broadcastRequestSchema,
  broadcastSchema,
  dryRunSchema,
} from '../schemas/broadcast-schemas.ts';
import { id } from '../schemas/id-schema.ts';
import { appId } from '../schemas/notification-schemas.ts';
import { afterOf, formerlyAfter } from '../schemas/page-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { wholeNumber } from '../schemas/whole-number.ts';
import { checkApp } from './check-app.ts';

type IdRequest = FastifyRequest<{ Params: { id: string } }>;

const params = z.object({ id });
const refusals = ['invalid-request', 'internal', 'database-unavailable'] as const;

export function addBroadcastRoutes(server: ProducerServer, context: ProducerContext): void {
  const { database, redis, queue } = context;

  const readings = new ProgressReadings(async (broadcast) => describe(await get(broadcast)));

  server.post(
    '/v1/broadcasts',
    {
      config: { scopes: ['broadcast'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'Send one notification to an audience of the device table',
        description: 'Every device that is in the audience when the fan-out comes to it gets it once.',
        headers: z.object({ 'idempotency-key': z.string().optional() }),
        body: broadcastRequestSchema,
        response: {
          200: dryRunSchema,
          202: broadcastSchema,
          ...problems(
            ...refusals,
            ...bodyProblems,
            'invalid-notification',
            'unknown-app',
            'unknown-upload',
            'idempotency-conflict',
          ),
        },
      },
    },
    async (request, reply) => {
      const { app, lane, audience, sendAt, spreadOver, dryRun, ...delivery } = request.body;
      checkApp(context, request, app);
      const { all, ...conditions } = audience;
      const stored = conditions as Audience;
      const { broadcasts, uploads } = database.store;
      if (stored.upload !== undefined && !(await uploads.exists(stored.upload, app))) {
        throw new Problem('unknown-upload', `audience.upload: app ${app} has no such list`, {
          errors: [{ field: 'audience.upload', message: `app ${app} has no such list` }],
        });
      }
      const startMs = context.queue.checkDelivery(
        { app, lane, ...(sendAt === undefined ? {} : { sendAt }) },
        delivery as object,
      );
      if (dryRun) return { devices: await broadcasts.countAudience(app, stored) };
      const header = request.headers['idempotency-key'];
      const broadcast = {
        id: randomUUID(),
        app,
        lane,
        delivery,
        audience: stored,
        startAt: new Date(startMs),
        spreadOverMs: spreadOver === undefined ? null : spreadOver * 1_000,
        keyed:
          header === undefined
            ? undefined
            : { key: readIdempotencyKey(header), fingerprint: fingerprintOf(request.body) },
        traceparent: traceparentOf(trace.getActiveSpan()),
      };
      const created = await database.store.change(async (stores) => {
        const value = await stores.broadcasts.create(broadcast);
        const isNew = value !== undefined && !value.replayed;
        return { value, entry: isNew ? createdEntry(request, value.broadcast) : undefined };
      });
      if (created === undefined) {
        throw new Problem('idempotency-conflict', 'the idempotency key was used for another broadcast');
      }
      context.broadcastRunner.wake();
      void reply.code(202);
      if (created.replayed) void reply.header('idempotency-replayed', 'true');
      const answer = await describe(created.broadcast);
      return created.replayed ? { ...answer, replayed: true as const } : answer;
    },
  );

  server.get(
    '/v1/broadcasts',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'The broadcasts of an app, the newest first',
        querystring: z.strictObject({
          app: appId,
          limit: wholeNumber({ min: 1, max: 100, byDefault: 20 }),
          after: afterOf(id),
          before: formerlyAfter(id),
        }),
        response: {
          200: broadcastPageSchema,
          ...problems(...refusals, 'unknown-app'),
        },
      },
    },
    async (request) => {
      const { app, limit, before, after = before } = request.query;
      checkApp(context, request, app);
      const found = await database.store.broadcasts.list(app, { before: after, limit: limit + 1 });
      const { rows, last } = pageOf(found, limit);
      return { broadcasts: await Promise.all(rows.map(describe)), next: last?.id ?? null };
    },
  );

  server.get(
    '/v1/broadcasts/:id',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'How far a broadcast has come',
        params,
        response: { 200: broadcastSchema, ...problems(...refusals, 'unknown-broadcast') },
      },
    },
    async (request) => describe(await find(request)),
  );

  server.get(
    '/v1/broadcasts/:id/events',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'How far a broadcast has come, as server-sent events',
        description:
          'An event `progress` whenever something has changed, with the same data as the broadcast itself; the ' +
          'stream ends when nothing of it is queued any more.',
        params,
        response: {
          200: { description: 'Events.', content: { 'text/event-stream': { schema: z.string() } } },
          ...problems(...refusals, 'unknown-broadcast'),
        },
      },
    },
    async (request, reply) => {
      const first = await find(request);
      const following = readings.follow(first.id, request.grant.keyId ?? '');
      // Also when the client goes away, or has gone while the broadcast was looked up.
      if (reply.raw.closed) following.end();
      else reply.raw.once('close', () => following.end());
      const events = progressEvents(first, {
        read: () => following.read(),
        isAllowed: () => isStillGood(context.keys, request),
        stopping: context.stopping,
      });
      void reply.type('text/event-stream').header('cache-control', 'no-store');
      return reply.serializer((value: unknown) => value as string).send(Readable.from(events) as never);
    },
  );

  const transition = (
    verb: 'pause' | 'resume',
    summary: string,
    from: readonly BroadcastState[],
    to: keyof typeof movements,
  ) =>
    server.post(
      `/v1/broadcasts/:id/${verb}`,
      {
        config: { scopes: ['broadcast'] },
        schema: {
          tags: ['Broadcasts'],
          summary,
          params,
          response: {
            200: broadcastSchema,
            ...problems(...refusals, 'unknown-broadcast', 'already-settled'),
          },
        },
      },
      async (request) => {
        const moved = await move(request, from, to);
        context.broadcastRunner.wake();
        return describe(moved);
      },
    );
  transition('pause', 'Let a broadcast rest after the chunk at hand', ['running'], 'paused');
  transition('resume', 'Let a broadcast go on where it stands', ['paused'], 'running');

  server.delete(
    '/v1/broadcasts/:id',
    {
      config: { scopes: ['cancel'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'Cancel a broadcast',
        description:
          'The fan-out ends, and what is queued and not yet sent ends as `cancelled`. `cancelling`: it is written down, and ' +
          'is done as soon as Redis can be reached.',
        params,
        response: {
          202: broadcastSchema,
          ...problems(...refusals, 'unknown-broadcast'),
        },
      },
    },
    async (request, reply) => {
      const { broadcasts } = database.store;
      const moved = await move(request, broadcastStates, 'cancelling');
      void reply.code(202);
      try {
        return await describe(
          (await finishCancelling(moved, { queue, redis, broadcasts })) ?? (await get(moved.id)),
        );
      } catch (err) {
        // It is written down: whoever runs broadcasts goes on with it until it is done.
        context.logger.warn(
          { app: moved.app, broadcast: moved.id, err },
          'a cancellation could not be finished; trying again',
        );
        return describe(moved);
      }
    },
  );

  /** @throws Problem `unknown-broadcast`, also of another app's */
  async function find(request: IdRequest): Promise<Broadcast> {
    const broadcast = await get(request.params.id);
    if (!isVisible(request, broadcast.app)) throw unknownBroadcast(request.params.id);
    return broadcast;
  }

  /** @throws Problem `unknown-broadcast` */
  async function get(id: string): Promise<Broadcast> {
    const broadcast = await database.store.broadcasts.get(id);
    if (broadcast === undefined) throw unknownBroadcast(id);
    return broadcast;
  }

  async function move(
    request: IdRequest,
    from: readonly BroadcastState[],
    to: keyof typeof movements,
  ): Promise<Broadcast> {
    const { id, app, state } = await find(request);
    const moved = await database.store.change(async ({ broadcasts }) => {
      const value = await broadcasts.move(id, from, to);
      const states = { before: { state }, after: { state: to } };
      const change = { action: movements[to], app, target: id, ...states } as const;
      return { value, entry: value === undefined ? undefined : entryOf(request, change) };
    });
    if (moved === undefined)
      throw new Problem('already-settled', `the fan-out of the broadcast ${id} is ${state}`);
    return moved;
  }

  async function describe(broadcast: Broadcast): Promise<BroadcastAnswer> {
    return answerOf(broadcast, await database.store.broadcasts.outcomes(broadcast.id));
  }
}

function unknownBroadcast(id: string): Problem {
  return new Problem('unknown-broadcast', `there is no broadcast ${id}`);
}

/** What the audit log calls a move to a state. */
const movements = {
  running: 'broadcast.resume',
  paused: 'broadcast.pause',
  cancelling: 'broadcast.cancel',
} as const;

/** Without what people are told. */
function createdEntry(
  request: FastifyRequest,
  { id, app, lane, audience, startAt, spreadOverMs }: Broadcast,
) {
  const after = { lane, audience, startAt: startAt.toISOString(), spreadOverMs };
  return entryOf(request, { action: 'broadcast.create', app, target: id, before: null, after });
}
