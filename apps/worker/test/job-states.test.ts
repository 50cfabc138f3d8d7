import { readFile } from 'node:fs/promises';
import { ConnectionAllowance } from '@pushfleet/apns-client';
import { createRedisTokenStore, watchCredential } from '@pushfleet/apns-credentials';
import { cancel } from '@pushfleet/push-queue';
import { LockKeeper, WorkerLink } from '@pushfleet/push-queue/worker';
import { createLogger, type FleetApp } from '@pushfleet/service-kit';
import { generateTokens } from '@pushfleet/testkit';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest';
import { AppSender } from '../src/app/app-sender.ts';
import { FleetMember } from '../src/fleet-member.ts';
import { Transports } from '../src/gateway/create-transport.ts';
import { type JobState, jobTransitions } from '../src/job/job-state.ts';
import { PushJob } from '../src/job/push-job.ts';
import { defaultRetryBackoffs } from '../src/job/retry-delay.ts';
import { MemoryBudget } from '../src/memory-budget.ts';
import { AppMetrics } from '../src/metrics/app-metrics.ts';
import { createWorkerMetrics } from '../src/metrics/worker-metrics.ts';
import { JobSpans } from '../src/tracing/job-span.ts';
import { type Rig, reject, stopSimulator, test } from './worker-test.ts';

// docs/lifecycles/push-job.md, executed: push jobs of a real queue go to a real gateway, and what can happen to one is done
// to it in each state. Every row of the table is seen, and nothing else.

const tokens = generateTokens({ count: 3, seed: 15 });
const logger = createLogger({ service: 'worker', level: 'silent' });

/** The rows of the page's table, or the arrows of its diagram, as `state + event → next`. */
async function readPage(): Promise<{ readonly rows: string[]; readonly arrows: string[] }> {
  const text = await readFile(new URL('../../../docs/lifecycles/push-job.md', import.meta.url), 'utf8');
  const table = text.slice(text.indexOf('| state |'));
  const rows = [...table.matchAll(/^\| ([\w-]+) \| ([\w-]+) \| ([\w-]+) \| .+ \|$/gm)];
  const arrows = [...text.matchAll(/^ {2}([\w-]+) --> ([\w-]+): (.+)$/gm)];
  return {
    rows: rows.map(([, state, event, next]) => `${state} + ${event} → ${next}`).sort(),
    arrows: arrows.map(([, state, next, event]) => `${state} + ${event} → ${next}`).sort(),
  };
}

const coded = Object.entries(jobTransitions)
  .flatMap(([state, ways]) => Object.entries(ways).map(([event, next]) => `${state} + ${event} → ${next}`))
  .sort();

/** What a scenario does with the one app that it has. */
interface Scene {
  readonly rig: Rig;
  readonly sender: AppSender;
  /** Another worker has the job: what the keeper of the locks says when a renewal finds it. */
  lose(): void;
  stop(): void;
}

interface Scenario {
  readonly name: string;
  readonly app?: Partial<FleetApp>;
  /** Before the job is taken. */
  readonly prepare?: (rig: Rig, batch: string) => Promise<unknown>;
  /** Done at the moment when the job first comes to a state. */
  readonly at?: Partial<Record<JobState, (scene: Scene) => void>>;
  /** Done while the job is being taken. */
  readonly whileTaken?: (scene: Scene) => void;
  readonly alert?: string;
  /** What is in Redis afterwards: outcome reports, and push jobs. */
  readonly reports: number;
  readonly left: number;
}

const lose = (scene: Scene) => scene.lose();
const stop = (scene: Scene) => scene.stop();
const drop = { onUncertain: 'drop' } as const;
/** Something else of the app is cancelled, so that every job is checked. */
const cancelAnother = async (rig: Rig) => {
  const { batchId } = await rig.enqueue(tokens.slice(0, 1), 'bulk');
  await cancel(rig, 'shop', batchId, 60_000);
};
const failOnce = async (rig: Rig) => rig.setFaults([reject({}, { status: 1, times: 1 })]);

const scenarios: readonly Scenario[] = [
  { name: 'it is sent', reports: 1, left: 0 },
  { name: 'nothing of it can be sent', alert: 'x'.repeat(3_000), reports: 1, left: 0 },
  { name: 'the worker stops while it is taken', whileTaken: stop, reports: 0, left: 1 },
  { name: 'something else is cancelled', prepare: cancelAnother, reports: 1, left: 1 },
  {
    name: 'all of it is cancelled',
    prepare: async (rig, batch) => cancel(rig, 'shop', batch, 60_000),
    reports: 1,
    left: 0,
  },
  {
    name: 'the worker stops while it is checked',
    prepare: cancelAnother,
    at: { checking: stop },
    reports: 0,
    left: 2,
  },
  {
    name: 'it is lost while it is checked',
    prepare: cancelAnother,
    at: { checking: lose },
    reports: 0,
    left: 2,
  },
  {
    name: 'something is cancelled while it is ready',
    at: { ready: ({ sender }) => sender.ring('control') },
    reports: 1,
    left: 0,
  },
  { name: 'the worker stops while it is ready', at: { ready: stop }, reports: 0, left: 1 },
  { name: 'it is lost while it is ready', at: { ready: lose }, reports: 0, left: 1 },
  { name: 'it is sent at most once', app: drop, reports: 1, left: 0 },
  {
    name: 'the worker stops while it is announced',
    app: drop,
    at: { announcing: stop },
    reports: 0,
    left: 1,
  },
  { name: 'it is lost while it is announced', app: drop, at: { announcing: lose }, reports: 0, left: 1 },
  { name: 'the gateway fails once', prepare: failOnce, reports: 1, left: 0 },
  { name: 'it is lost while it is sent', at: { sending: lose }, reports: 0, left: 1 },
  { name: 'it is lost while it is reported', at: { reporting: lose }, reports: 0, left: 1 },
  {
    name: 'it is lost while it is given back',
    prepare: failOnce,
    at: { 'giving-back': lose },
    reports: 0,
    left: 1,
  },
];

const observed = new Set<string>();
const jobs = new Set<PushJob>();
let scene: Scene | undefined;
let scenario: Scenario | undefined;
let onLost: (() => void) | undefined;
let visited: Set<JobState>;

beforeEach(() => {
  jobs.clear();
  visited = new Set();
  const { go } = PushJob.prototype;
  vi.spyOn(PushJob.prototype, 'go').mockImplementation(function (this: PushJob, event) {
    const before = this.state;
    go.call(this, event);
    const { state } = this;
    jobs.add(this);
    observed.add(`${before} + ${event} → ${state}`);
    if (visited.has(state)) return;
    visited.add(state);
    scenario?.at?.[state]?.(scene!);
  });
  const { hold } = LockKeeper.prototype;
  vi.spyOn(LockKeeper.prototype, 'hold').mockImplementation(function (this: LockKeeper, queue, job, lost) {
    onLost = lost;
    hold.call(this, queue, job, lost);
  });
});
afterEach(() => vi.restoreAllMocks());
afterAll(stopSimulator);

async function openSender(rig: Rig, app: FleetApp) {
  const link = new WorkerLink({
    redis: rig.redisUrl,
    prefix: rig.prefix,
    lockDurationMs: 60_000,
    stalledIntervalMs: 30_000,
  });
  await link.open(5_000);
  const locks = new LockKeeper({ links: [link], onError: () => undefined });
  const { cert, key } = app.credential as { cert: string; key: string };
  const credential = await watchCredential({ cert, key });
  const transports = new Transports({ tokenStore: createRedisTokenStore(link.client, rig.prefix), logger });
  const worker = { id: 'test', host: 'test', pid: 1, version: '0', sinceMs: 0 };
  const sender = new AppSender({
    app,
    credential,
    transports,
    allowance: new ConnectionAllowance(512),
    links: { transactional: link, bulk: link },
    workerId: 'test',
    locks,
    budget: new MemoryBudget({ totalBytes: 2 ** 29, appBytes: 2 ** 27 }),
    metrics: new AppMetrics(createWorkerMetrics(new Registry()), app),
    backoffs: defaultRetryBackoffs,
    checkpointIntervalMs: 250,
    spans: new JobSpans(undefined, app),
    canaries: undefined,
    fleet: new FleetMember({ link, worker, logger }),
    logger,
  });
  const close = async () => {
    await sender.stop(5_000);
    transports.close();
    credential.close();
    locks.close();
    await link.close();
  };
  return { sender, close };
}

/** Lets the one push job of a scenario go through its life. */
async function live(rig: Rig): Promise<void> {
  const { app = {}, prepare, whileTaken, alert = 'Hello' } = scenario!;
  const { batchId } = await rig.queue.enqueueBatch({
    app: 'shop',
    lane: 'transactional',
    notifications: tokens.map((token) => ({ token })),
    defaults: { alert },
  });
  await prepare?.(rig, batchId);
  const { sender, close } = await openSender(rig, rig.app({ connections: 1, ...app }));
  scene = { rig, sender, lose: () => onLost!(), stop: () => void sender.stop(5_000) };
  try {
    const idle = { waiting: 0, nextAtMs: undefined, active: 0 };
    const look = () => sender.seen({ pauses: [], lanes: [{ ...idle, waiting: 1 }, idle] });
    look();
    // The loop turns in a microtask, and asks Redis for the job.
    await Promise.resolve();
    whileTaken?.(scene);
    await vi.waitFor(
      async () => {
        // As the watch of all queues would.
        look();
        expect(jobs.size).toBeGreaterThan(0);
        expect([...jobs].filter(({ state }) => state !== 'gone')).toEqual([]);
        expect((await rig.reports()).length).toBe(scenario!.reports);
      },
      { timeout: 30_000, interval: 20 },
    );
  } finally {
    await close();
  }
  expect(await rig.jobsLeft()).toBe(scenario!.left);
}

for (const each of scenarios) {
  test(`what becomes of a push job: ${each.name}`, async ({ rig }) => {
    scenario = each;
    await live(rig);
  });
}

test('the page, its diagram and the code draw the same ways, and all of them were gone', async () => {
  const { rows, arrows } = await readPage();
  expect(coded.length).toBeGreaterThan(20);
  expect(rows).toEqual(coded);
  expect(arrows).toEqual(coded);
  expect([...observed].sort()).toEqual(coded);
});
