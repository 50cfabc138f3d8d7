import { readFile } from 'node:fs/promises';
import { type FaultProxy, generateTokens, openFaultProxy } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

// docs/lifecycles/broadcast.md, executed: each row of its table is brought about, by the API, on a Redis that can go away.

const page = new URL('../../../docs/lifecycles/broadcast.md', import.meta.url);
const patience = { timeout: 60_000, interval: 20 };
/** The fan-out reads at least 100 rows for a chunk. */
const tokens = generateTokens({ count: 250, seed: 44 });

let proxy: FaultProxy;
let probe: ProducerProbe;
beforeAll(async () => {
  const target = new URL(inject('redisUrl'));
  proxy = await openFaultProxy({ target: { port: Number(target.port) } });
  target.hostname = proxy.host;
  target.port = String(proxy.port);
  probe = await openProducer({ redisUrl: target.href, writeTimeoutMs: 3_000 });
  const devices = tokens.map((token) => JSON.stringify({ token })).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  const imported = await probe.call('POST', '/v1/devices/import?app=shop', { headers, body: devices });
  expect(imported.status).toBe(200);
});
afterAll(async () => {
  await probe.close();
  await proxy.close();
});

interface Transition {
  readonly state: string;
  readonly event: string;
  readonly next: string;
}

async function readPage(): Promise<{ rows: Transition[]; arrows: Transition[] }> {
  const text = await readFile(page, 'utf8');
  const rows = [...text.matchAll(/^\| (\w+) \| ([^|]+) \| (\w+) \| [^|]+ \|$/gm)];
  const arrows = [...text.matchAll(/^ {2}(\S+) --> (\w+): (.+)$/gm)];
  return {
    rows: rows
      .map(([, state, event, next]) => ({ state: state!, event: event!, next: next! }))
      .filter(({ state }) => state !== 'state'),
    arrows: arrows.map(([, state, next, event]) => ({
      state: state === '[*]' ? 'none' : state!,
      event: event!,
      next: next!,
    })),
  };
}

/** Fields of a broadcast whose fan-out is not soon over. */
const long = () => ({ spreadOver: 600 });
/** Fields of one that has not begun. */
const soon = () => ({ sendAt: new Date(Date.now() + 2_000).toISOString() });

/** One broadcast. */
class Scene {
  /** What the next event needs it to be. */
  readonly #fields: object;
  id: string | undefined;

  constructor(fields: object) {
    this.#fields = fields;
  }

  async create(): Promise<void> {
    const body = { app: 'shop', audience: { all: true }, alert: 'x', ...this.#fields };
    const created = await probe.call('POST', '/v1/broadcasts', { body });
    expect(created).toMatchObject({ status: 202, body: { state: 'running' } });
    this.id = created.body.broadcastId;
  }

  async get() {
    return (await probe.call('GET', `/v1/broadcasts/${this.id}`)).body;
  }

  async state(): Promise<string> {
    return this.id === undefined ? 'none' : (await this.get()).state;
  }

  async row() {
    return (await probe.database.store.broadcasts.get(this.id!))!;
  }

  async enqueued(count: number): Promise<void> {
    await expect.poll(async () => (await this.get()).enqueued, patience).toBe(count);
  }

  async becomes(state: string): Promise<void> {
    await expect.poll(() => this.state(), patience).toBe(state);
  }

  async post(verb: 'pause' | 'resume'): Promise<number> {
    return (await probe.call('POST', `/v1/broadcasts/${this.id}/${verb}`)).status;
  }

  async cancel(): Promise<void> {
    expect(await probe.call('DELETE', `/v1/broadcasts/${this.id}`)).toMatchObject({ status: 202 });
  }

  /** Of the batches that it was enqueued as, those that are marked as cancelled in Redis. */
  async cancelledBatches(): Promise<{ all: number; marked: number }> {
    const batches = await probe.database.store.broadcasts.batchesOf(this.id!);
    const marks = await Promise.all(
      batches.map((batch) => probe.redis.exists(`${probe.prefix}:{shop}:cancelled:${batch}`)),
    );
    return { all: batches.length, marked: marks.reduce((sum, mark) => sum + mark, 0) };
  }
}

async function takeRedisAway(): Promise<void> {
  await proxy.disable();
  proxy.cut('reset');
}

async function bringRedisBack(): Promise<void> {
  proxy.clear();
  await proxy.enable();
  // The clients of the producer connect again by themselves.
  await expect.poll(async () => (await probe.call('GET', '/v1/apps/shop')).status, patience).toBe(200);
}

/** How a state is come to. */
const states: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  none: async () => undefined,
  running: (scene) => scene.create(),
  paused: async (scene) => {
    await scene.create();
    await scene.enqueued(100);
    expect(await scene.post('pause')).toBe(200);
  },
  delivering: async (scene) => {
    await scene.create();
    await scene.becomes('delivering');
  },
  finished: async (scene) => {
    await states.delivering!(scene);
    await reportAll(scene);
  },
  cancelling: async (scene) => {
    await scene.create();
    await scene.enqueued(100);
    await takeRedisAway();
    await scene.cancel();
  },
  cancelled: async (scene) => {
    await scene.create();
    await scene.cancel();
  },
  failed: async (scene) => {
    await scene.create();
    await scene.becomes('failed');
  },
};

/** What the sweeper writes once every notification has its outcome. */
async function reportAll(scene: Scene): Promise<void> {
  await probe.database.store.database.query(
    `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, first_settled_at, last_settled_at)
     select batch, 'shop', 'bulk', count, now(), count, now(), now() from broadcast_chunks where broadcast = $1`,
    [scene.id],
  );
}

interface Event {
  /** Fields of the broadcast that it happens to; by default its fan-out is not soon over. */
  readonly fields?: () => object;
  /** Brings it about, and sees that its effect is there. */
  readonly run: (scene: Scene) => Promise<void>;
}

const events: Readonly<Record<string, Event>> = {
  create: { run: (scene) => scene.create() },
  'enqueue a chunk': {
    run: async (scene) => {
      await scene.enqueued(100);
      expect(await probe.database.store.broadcasts.batchesOf(scene.id!)).toHaveLength(1);
      expect((await scene.row()).pendingToken).not.toBeNull();
    },
  },
  'enqueue the last chunk': {
    fields: soon,
    run: async (scene) => {
      await scene.enqueued(250);
      expect(await scene.get()).toHaveProperty('fanOutEndedAt');
      expect(await scene.get()).not.toHaveProperty('finishedAt');
    },
  },
  'find nobody': {
    fields: () => ({ ...soon(), audience: { tags: 'none' } }),
    run: async (scene) => {
      await scene.becomes('finished');
      expect(await scene.get()).toMatchObject({ enqueued: 0, finishedAt: expect.any(String) });
    },
  },
  pause: { run: async (scene) => void expect(await scene.post('pause')).toBe(200) },
  resume: {
    // A chunk takes twelve seconds.
    fields: () => ({ spreadOver: 30 }),
    run: async (scene) => {
      expect(await scene.post('resume')).toBe(200);
      await scene.enqueued(200);
    },
  },
  'enqueue the chunk at hand': {
    run: async (scene) => {
      await scene.enqueued(100);
      const { chunk, pendingToken, state } = await scene.row();
      expect({ chunk, state }).toEqual({ chunk: 1, state: 'paused' });
      expect(pendingToken).not.toBeNull();
    },
  },
  'find that it cannot be sent': {
    // The second chunk is due after its time has passed.
    fields: () => ({ spreadOver: 12, expiresAt: Math.floor(Date.now() / 1_000) + 4 }),
    run: async (scene) => {
      await scene.becomes('failed');
      expect((await scene.get()).error).toMatch(/^expiresAt: is past/);
    },
  },
  'report the last outcome': {
    fields: () => ({}),
    run: async (scene) => {
      await reportAll(scene);
      expect(await scene.get()).toHaveProperty('finishedAt');
    },
  },
  cancel: {
    run: async (scene) => {
      await scene.cancel();
      const { all, marked } = await scene.cancelledBatches();
      expect(marked).toBe(all);
    },
  },
  'cancel, Redis is away': {
    run: async (scene) => {
      // Of what is not in Redis yet, nothing has to be cancelled there.
      if ((await scene.state()) === 'running') await scene.enqueued(100);
      await takeRedisAway();
      await scene.cancel();
      expect((await scene.cancelledBatches()).marked).toBe(0);
    },
  },
  'reach Redis': {
    run: async (scene) => {
      await bringRedisBack();
      await scene.becomes('cancelled');
      const { all, marked } = await scene.cancelledBatches();
      expect(all).toBeGreaterThan(0);
      expect(marked).toBe(all);
    },
  },
};

/** What a broadcast has to be for a row. */
function fieldsFor({ state, event }: Transition): () => object {
  if (['delivering', 'finished'].includes(state)) return () => ({});
  if (state === 'failed') return events['find that it cannot be sent']!.fields!;
  return events[event]?.fields ?? long;
}

/** Paused in the middle of a chunk, which takes its time on the way to Redis. */
async function pauseInChunk(scene: Scene): Promise<void> {
  for (;;) {
    proxy.add('downstream', { type: 'latency', latencyMs: 800 });
    await scene.create();
    await expect.poll(async () => (await scene.row()).pendingToken, patience).not.toBeNull();
    expect(await scene.post('pause')).toBe(200);
    const isInTime = (await scene.row()).chunk === 0;
    proxy.clear();
    if (isInTime) return;
    await scene.cancel();
  }
}

test('the table and the diagram tell the same, and every event of the test is in them', async () => {
  const { rows, arrows } = await readPage();
  const order = (all: readonly Transition[]) =>
    all.map(({ state, event, next }) => `${state} --> ${next}: ${event}`).sort();
  expect(order(arrows)).toEqual(order(rows));
  expect(Object.keys(events).sort()).toEqual([...new Set(rows.map(({ event }) => event))].sort());
  expect(Object.keys(states).sort()).toEqual([...new Set(rows.map(({ state }) => state))].sort());
});

test.for((await readPage()).rows)(
  '$state: $event → $next',
  { timeout: 180_000 },
  async ({ state, event, next }) => {
    const scene = new Scene(fieldsFor({ state, event, next })());
    try {
      if (event === 'enqueue the chunk at hand') await pauseInChunk(scene);
      else await states[state]!(scene);
      expect(await scene.state(), 'the beginning').toBe(state);
      await events[event]!.run(scene);
      expect(await scene.state(), 'the end').toBe(next);
    } finally {
      await bringRedisBack();
      if (scene.id !== undefined) {
        await scene.cancel();
        await scene.becomes('cancelled');
      }
    }
  },
);

test('pausing and resuming are refused in every state without a row for them', {
  timeout: 180_000,
}, async () => {
  const { rows } = await readPage();
  for (const state of Object.keys(states).filter((name) => name !== 'none')) {
    const scene = new Scene(fieldsFor({ state, event: '', next: '' })());
    try {
      await states[state]!(scene);
      for (const verb of ['pause', 'resume'] as const) {
        if (rows.some((row) => row.state === state && row.event === verb)) continue;
        expect(await scene.post(verb), `${verb} in ${state}`).toBe(409);
        expect(await scene.state()).toBe(state);
      }
    } finally {
      await bringRedisBack();
      await scene.cancel();
      await scene.becomes('cancelled');
    }
  }
});
