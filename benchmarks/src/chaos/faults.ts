import { setTimeout as delay } from 'node:timers/promises';
import { askPostgres, type Random, randomInt } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { ChaosFleet, Edges, Slot } from './fleet.ts';
import type { Transport } from './memory.ts';

/** A fault that heals itself: `run` resolves when all is as it was. */
export interface ChaosFault {
  readonly name: string;
  readonly weight: number;
  /** It can leave notifications in doubt, which may then be sent twice. */
  readonly leavesDoubt: boolean;
  /** Where it concerns one transport alone. */
  readonly transport?: Transport | undefined;
  run(fleet: ChaosFleet, random: Random): Promise<void>;
}

type Rule = Readonly<Record<string, unknown>> & { readonly on: Transport };

/** A few rules of the simulator, for some seconds. */
function gateway(name: string, leavesDoubt: boolean, rules: readonly Rule[], weight = 1): ChaosFault {
  return {
    name: `gateway: ${name}`,
    weight,
    leavesDoubt,
    transport: new Set(rules.map(({ on }) => on)).size === 1 ? rules[0]!.on : undefined,
    async run({ simulator }, random) {
      const forMs = 2_000 + randomInt(random, 6_000);
      await simulator.control.faults({ add: true, rules: rules.map((rule) => ({ forMs, ...rule })) });
      await delay(forMs);
    },
  };
}

function slotsOf(fleet: ChaosFleet, kind: Slot['kind']): readonly Slot[] {
  return fleet.slots.filter((slot) => slot.kind === kind);
}

function service(
  kind: Slot['kind'],
  how: 'kill' | 'stop' | 'freeze',
  leavesDoubt: boolean,
  weight = 1,
): ChaosFault {
  const words = { kill: 'is killed', stop: 'is asked to stop', freeze: 'stands still' };
  return {
    name: `a ${kind} ${words[how]}`,
    weight,
    leavesDoubt,
    async run(fleet, random) {
      const slots = slotsOf(fleet, kind);
      const slot = slots[randomInt(random, slots.length)]!;
      if (how === 'freeze') {
        slot.signal('SIGSTOP');
        await delay(1_000 + randomInt(random, 19_000));
        slot.signal('SIGCONT');
        return;
      }
      await slot.end(how);
      await delay(randomInt(random, 2_000));
      await slot.ensureStarted();
    },
  };
}

function edge(name: keyof Edges, leavesDoubt: boolean): readonly ChaosFault[] {
  const fault = (
    what: string,
    run: (proxy: Edges[keyof Edges], random: Random) => Promise<void>,
    doubt = leavesDoubt,
  ): ChaosFault => ({
    name: `edge ${name}: ${what}`,
    weight: 0.5,
    leavesDoubt: doubt,
    transport: name === 'binary gateway' ? 'binary' : name === 'HTTP/2 gateway' ? 'http2' : undefined,
    run: async ({ edges }, random) => run(edges[name], random),
  });
  return [
    fault('cut', async (proxy) => proxy.cut('reset')),
    fault('closed', async (proxy, random) => {
      await proxy.disable();
      proxy.cut('reset');
      await delay(500 + randomInt(random, 5_000));
      await proxy.enable();
    }),
    fault('black hole', async (proxy, random) => {
      const undo = [
        proxy.add('upstream', { type: 'timeout', timeoutMs: 0 }),
        proxy.add('downstream', { type: 'timeout', timeoutMs: 0 }),
      ];
      await delay(1_000 + randomInt(random, 6_000));
      for (const end of undo) end();
      // What went into the hole is lost: no stream can go on without it.
      proxy.cut('reset');
    }),
    fault('slow', async (proxy, random) => {
      const undo = proxy.add('downstream', {
        type: 'latency',
        latencyMs: 100 + randomInt(random, 300),
        jitterMs: 50,
      });
      await delay(2_000 + randomInt(random, 4_000));
      undo();
    }),
  ];
}

async function withRedis(url: string, ask: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 20 });
  redis.on('error', () => undefined);
  try {
    await ask(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilRole(url: string, role: 'master' | 'slave'): Promise<void> {
  await withRedis(url, async (redis) => {
    for (let tries = 0; tries < 200; tries++) {
      const info = await redis.info('replication').catch(() => '');
      const linked = role === 'master' || info.includes('master_link_status:up');
      if (info.includes(`role:${role}`) && linked) return;
      await delay(50);
    }
    throw new Error(`Redis did not become ${role}`);
  });
}

/** Hands the writes over to the replica, which has everything, and back: clients of the first see it read-only. */
async function demote({ redis, replica }: ChaosFleet, random: Random): Promise<void> {
  await untilRole(replica.url, 'slave');
  await withRedis(redis.url, async (primary) => primary.call('FAILOVER', 'TIMEOUT', '5000'));
  await untilRole(replica.url, 'master');
  await delay(500 + randomInt(random, 4_000));
  await untilRole(redis.url, 'slave');
  await withRedis(replica.url, async (other) => other.call('FAILOVER', 'TIMEOUT', '5000'));
  await untilRole(redis.url, 'master');
  await untilRole(replica.url, 'slave');
}

function redis(name: string, run: ChaosFault['run'], leavesDoubt = true): ChaosFault {
  return { name: `Redis ${name}`, weight: 1, leavesDoubt, run };
}

function postgres(name: string, run: ChaosFault['run']): ChaosFault {
  return { name: `Postgres ${name}`, weight: 1, leavesDoubt: false, run };
}

/** Holds a session that does something, and ends it. */
async function withSession(url: string, ask: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await ask(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const transient = ['InternalServerError', 'ServiceUnavailable'];

/** Every fault there is. `once` is left out of rules that answer for a notification itself: they end it. */
const chaosFaults: readonly ChaosFault[] = [
  // Faults after which nothing is in doubt: by docs/delivery.md nothing may come twice.
  gateway(
    'error packets',
    false,
    [
      { on: 'binary', match: { everyNth: 150 }, action: { kind: 'reject', status: 8 } },
      { on: 'binary', match: { everyNth: 401 }, action: { kind: 'reject', status: 7 } },
    ],
    4,
  ),
  gateway(
    'late error packets',
    false,
    [
      {
        on: 'binary',
        match: { everyNth: 200 },
        action: { kind: 'reject', status: 8, delayFrames: 100, delayMs: 200 },
      },
    ],
    3,
  ),
  gateway(
    'shutdown packets',
    false,
    [{ on: 'binary', match: { after: 120 }, action: { kind: 'shutdown' } }],
    3,
  ),
  gateway(
    'rejections',
    false,
    [
      { on: 'http2', match: { everyNth: 100 }, action: { kind: 'respond', reason: 'PayloadTooLarge' } },
      { on: 'http2', match: { everyNth: 203 }, action: { kind: 'respond', reason: 'BadDeviceToken' } },
    ],
    2,
  ),
  ...transient.map((reason) =>
    gateway(reason, false, [{ on: 'http2', match: { everyNth: 20 }, action: { kind: 'respond', reason } }]),
  ),
  gateway('nothing but 503', false, [
    { on: 'http2', action: { kind: 'respond', reason: 'ServiceUnavailable' } },
  ]),
  gateway('too many requests', false, [
    {
      on: 'http2',
      match: { everyNth: 30 },
      action: { kind: 'respond', reason: 'TooManyRequests', retryAfter: 1 },
    },
  ]),
  gateway(
    'GOAWAY',
    false,
    [
      {
        on: 'http2',
        match: { after: 100 },
        action: { kind: 'goaway', streamsBack: 10, reason: 'Shutdown', code: 0, answers: true, closes: true },
      },
    ],
    3,
  ),
  gateway(
    'refused streams',
    false,
    [{ on: 'http2', match: { everyNth: 50 }, action: { kind: 'resetStream', code: 7 } }],
    2,
  ),
  gateway('few streams', false, [
    { on: 'http2', match: { after: 10 }, action: { kind: 'streamLimit', limit: 3 } },
  ]),
  gateway('slow answers', false, [
    { on: 'http2', match: { everyNth: 10 }, action: { kind: 'delay', ms: 300 } },
  ]),
  gateway('connections refused', false, [
    { on: 'binary', action: { kind: 'refuse' } },
    { on: 'http2', action: { kind: 'refuse' } },
  ]),
  gateway('slow reading', false, [
    { on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 100_000 } },
  ]),
  service('worker', 'stop', false, 3),
  service('producer', 'kill', false, 2),
  service('producer', 'stop', false),
  service('producer', 'freeze', false),
  service('sweeper', 'kill', false, 2),
  service('sweeper', 'stop', false),
  service('sweeper', 'freeze', false),
  ...edge('client to producer 1', false),
  ...edge('client to producer 2', false),
  ...edge('producer to Redis', false),
  ...edge('sweeper to Redis', false),
  ...edge('Postgres', false),
  postgres('is killed', async ({ postgres: server }, random) => {
    await server.kill();
    await delay(randomInt(random, 3_000));
    await server.restart();
  }),
  postgres('has a table locked', async ({ postgres: { url } }, random) =>
    withSession(url, async (session) => {
      const tables = ['devices', 'batches', 'broadcasts'];
      await session.query('begin');
      await session.query(`lock table ${tables[randomInt(random, tables.length)]} in access exclusive mode`);
      await delay(1_000 + randomInt(random, 5_000));
      await session.query('rollback');
    }),
  ),
  postgres('is read-only', async ({ postgres: { url } }, random) => {
    const set = async (value: string): Promise<void> => {
      await askPostgres(url, `alter system set default_transaction_read_only = ${value}`);
      await askPostgres(url, 'select pg_reload_conf()');
    };
    await set('on');
    try {
      await delay(1_000 + randomInt(random, 4_000));
    } finally {
      await withSession(url, async (session) => {
        await session.query('set default_transaction_read_only = off');
        await session.query('alter system reset default_transaction_read_only');
        await session.query('select pg_reload_conf()');
      });
    }
  }),
  postgres('ends all sessions', async ({ postgres: { url } }) => {
    await askPostgres(
      url,
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()',
    );
  }),
  redis(
    'forgets its scripts',
    async ({ redis: { url } }) => withRedis(url, async (it) => it.script('FLUSH')),
    false,
  ),
  // Faults that leave something in doubt.
  gateway('connections closed', true, [
    { on: 'binary', match: { after: 90 }, times: 6, action: { kind: 'close' } },
  ]),
  gateway('connections reset', true, [
    { on: 'binary', match: { after: 90 }, times: 4, action: { kind: 'reset' } },
    { on: 'http2', match: { after: 90 }, times: 4, action: { kind: 'reset' } },
  ]),
  gateway('a gateway that stops reading', true, [
    { on: 'binary', match: { after: 50 }, times: 2, action: { kind: 'stopReading' } },
  ]),
  gateway('packets that name nothing', true, [
    {
      on: 'binary',
      match: { everyNth: 300 },
      times: 3,
      action: { kind: 'reject', status: 8, identifier: 0 },
    },
  ]),
  gateway('answers that never come', true, [
    { on: 'http2', match: { everyNth: 60 }, times: 10, action: { kind: 'hang', taken: true } },
  ]),
  gateway('a port that closes', true, [
    { on: 'binary', action: { kind: 'closePort' } },
    { on: 'http2', action: { kind: 'closePort' } },
  ]),
  service('worker', 'kill', true, 5),
  service('worker', 'freeze', true, 3),
  ...edge('binary gateway', true),
  ...edge('HTTP/2 gateway', true),
  ...edge('worker to Redis', true),
  redis('is killed', async ({ redis: server, replica }, random) => {
    await server.kill();
    await delay(randomInt(random, 3_000));
    await server.restart();
    await untilRole(replica.url, 'slave');
  }),
  redis('is read-only after a demotion', demote),
  redis('cuts all connections', async ({ redis: { url } }) =>
    withRedis(url, async (it) => it.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
  ),
  redis('stands still', async ({ redis: { url } }, random) =>
    withRedis(url, async (it) => it.call('CLIENT', 'PAUSE', String(1_000 + randomInt(random, 4_000)), 'ALL')),
  ),
  redis('is full', async ({ redis: { url } }, random) =>
    withRedis(url, async (it) => {
      await it.config('SET', 'maxmemory', '1mb');
      await delay(1_000 + randomInt(random, 4_000));
      await it.config('SET', 'maxmemory', '0');
    }),
  ),
];

/** One of those that fit the phase: in an exact one, none that leaves something in doubt. */
export function pickFault(random: Random, isExact: boolean): ChaosFault {
  const fitting = chaosFaults.filter(({ leavesDoubt }) => !isExact || !leavesDoubt);
  let at = random() * fitting.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of fitting) {
    at -= fault.weight;
    if (at < 0) return fault;
  }
  return fitting.at(-1)!;
}
