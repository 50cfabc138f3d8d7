import {
  type FleetWorker,
  pauseApp,
  type QueueClass,
  readPauses,
  readWorkers,
  resumeApp,
  troublesOf,
} from '@pushfleet/push-queue';
import {
  type LaneTotals,
  type QuotaUse,
  readQueueDepth,
  readQuotaUse,
  readTotals,
} from '@pushfleet/push-queue/status';
import type { FleetApp } from '@pushfleet/service-kit';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import {
  type AppAnswer,
  appDetailSchema,
  appStateSchema,
  pauseRequestSchema,
  resumeRequestSchema,
  type TotalsAnswer,
} from '../schemas/app-schemas.ts';
import { appId } from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

/** How long a resume waits for what the gateway says to the workers, milliseconds. */
const resumeTimeoutMs = 3_000;

const params = z.object({ app: appId });
const refusals = ['invalid-request', 'unknown-app', 'internal', 'redis-unavailable'] as const;

export function addAppRoutes(server: ProducerServer, context: ProducerContext): void {
  const { apps, audit, redis } = context;

  server.get(
    '/v1/apps',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Apps'],
        summary: 'The apps of the fleet and whether they run',
        response: {
          200: z.strictObject({ apps: z.array(appStateSchema) }),
          ...problems('internal', 'redis-unavailable'),
        },
      },
    },
    async ({ grant }) => {
      const visible = [...apps.values()].filter(({ id }) => grant.apps?.has(id) ?? true);
      const [expiries, workers] = await Promise.all([readExpiries(context), readWorkers(redis)]);
      return { apps: await Promise.all(visible.map((app) => stateOf(context, app, expiries, workers))) };
    },
  );

  server.get(
    '/v1/apps/:app',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Apps'],
        summary: 'An app, its queues and its sums',
        params,
        response: { 200: appDetailSchema, ...problems(...refusals) },
      },
    },
    async (request) => {
      const app = checkApp(context, request, request.params.app);
      const [state, depth, totals, quota] = await Promise.all([
        currentState(context, app),
        readQueueDepth(redis, app.id),
        readTotals(redis, app.id),
        readQuotaUse(redis, app.id, app.queue),
      ]);
      const { transactional, bulk } = totals;
      return {
        ...state,
        queue: depth.lanes,
        quota: { queued: quotaOf(quota, 'queued'), scheduled: quotaOf(quota, 'scheduled') },
        deadLetters: depth.deadLetters,
        totals: { transactional: totalsOf(transactional), bulk: totalsOf(bulk) },
      };
    },
  );

  server.post(
    '/v1/apps/:app/pause',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Apps'],
        summary: 'Put an app to rest',
        description: 'What is sent meanwhile waits in the queue. The first pause of a cause stands.',
        params,
        body: pauseRequestSchema,
        response: { 200: appStateSchema, ...problems(...refusals, ...bodyProblems) },
      },
    },
    async (request) => {
      const app = checkApp(context, request, request.params.app);
      const { reason } = request.body;
      const before = await pausesOf(app.id);
      const change = { action: 'app.pause', app: app.id, target: app.id, before } as const;
      return audit.record(request, change, async () => {
        await pauseApp(redis, app.id, { cause: 'operator', reason, sinceMs: Date.now() });
        return { value: await currentState(context, app), after: await pausesOf(app.id) };
      });
    },
  );

  server.post(
    '/v1/apps/:app/resume',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Apps'],
        summary: 'Let an app run again',
        description:
          'Workers that the gateway has refused ask it at once; the answer, within a few seconds, says what they were told.',
        params,
        body: resumeRequestSchema,
        response: { 200: appStateSchema, ...problems(...refusals, ...bodyProblems) },
      },
    },
    async (request) => {
      const app = checkApp(context, request, request.params.app);
      const causes = request.body.causes ?? ['operator', 'invalid-tokens'];
      const before = await pausesOf(app.id);
      const change = { action: 'app.resume', app: app.id, target: app.id, before } as const;
      return audit.record(request, change, async () => {
        await resumeApp(redis, app.id, causes, resumeTimeoutMs);
        return { value: await currentState(context, app), after: await pausesOf(app.id) };
      });
    },
  );

  async function pausesOf(app: string) {
    const pauses = await readPauses(redis, app);
    return { pauses: pauses.map(({ cause, reason }) => ({ cause, reason })) };
  }
}

function totalsOf({
  enqueued,
  'accepted-proved': proved,
  'accepted-presumed': presumed,
  ...refused
}: LaneTotals): TotalsAnswer {
  const accepted = proved + presumed;
  const settled = accepted + refused.rejected + refused.expired + refused.cancelled + refused.dead;
  const queued = Math.max(0, enqueued - settled);
  return { enqueued, queued, accepted, certainty: { proved, presumed }, ...refused };
}

type Expiries = ReadonlyMap<string, Date | null>;

/** Whether an app runs is asked when things are wrong, also with Postgres: without it there is just less to tell. */
async function readExpiries({ database }: ProducerContext): Promise<Expiries> {
  try {
    return await database.store.appCredentials.expiries();
  } catch {
    return new Map();
  }
}

async function currentState(context: ProducerContext, app: FleetApp): Promise<AppAnswer> {
  const [expiries, workers] = await Promise.all([readExpiries(context), readWorkers(context.redis)]);
  return stateOf(context, app, expiries, workers);
}

async function stateOf(
  { redis }: ProducerContext,
  app: FleetApp,
  expiries: Expiries,
  fleet: readonly FleetWorker[],
): Promise<AppAnswer> {
  const { id, topic, environment, transport } = app;
  const workers = fleet.filter(({ apps }) => apps.includes(id));
  const pauses = await readPauses(redis, id);
  return {
    app: id,
    topic,
    environment,
    transport,
    state: pauses.length === 0 ? 'running' : 'paused',
    pauses: pauses.map(({ cause, reason, sinceMs }) => ({
      cause,
      reason,
      since: new Date(sinceMs).toISOString(),
    })),
    workers: workers.length,
    troubles: troublesOf(id, workers).map(({ worker, host, about, reason, sinceMs, untilMs }) => ({
      ...{ worker, host, about, reason },
      since: new Date(sinceMs).toISOString(),
      nextCheckAt: new Date(untilMs).toISOString(),
    })),
    slowed: workers.flatMap(({ id: worker, host, slowed }) => {
      const found = slowed[id];
      if (found === undefined) return [];
      return [{ worker, host, cause: found.cause, since: new Date(found.sinceMs).toISOString() }];
    }),
    credentialExpiresAt: expiries.get(id)?.toISOString() ?? null,
  };
}

function quotaOf({ used, limits }: QuotaUse, each: QueueClass) {
  const useOf = (what: 'notifications' | 'bytes') => ({ used: used[each][what], limit: limits[each][what] });
  return { notifications: useOf('notifications'), bytes: useOf('bytes') };
}
