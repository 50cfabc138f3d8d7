import { ErrorStatus } from '@pushfleet/apns-wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BinarySchedule } from './binary-schedule.ts';
import { Http2Schedule } from './http2-schedule.ts';
import { arrowsOf, type Row, readDiagrams, readRows } from './life-cycle-page.ts';
import type { RecordedRun } from './recorded-run.ts';

// docs/lifecycles/transport.md, executed: each row of its table is brought about on both protocols, and its diagram
// draws nothing else.

/** Delays are drawn at random: none may be 0 here. */
beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.5));
afterEach(() => void vi.restoreAllMocks());

/** Notifications of a run: as many as there is room for. */
const count = 10;
const deadlineMs = 3_000;
const options = { connections: 1, window: count, backoff: { baseMs: 1_000, capMs: 1_000 } };

type Scene = BinarySchedule | Http2Schedule;
type Acts<Any> = Readonly<Record<string, (scene: Any) => void | Promise<void>>>;

async function turn(scene: Scene): Promise<void> {
  for (let times = 0; times < 3; times++) await scene.turn();
}

async function advance(scene: Scene, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    scene.clock.advance(100);
    await turn(scene);
  }
}

function createBinary(): BinarySchedule {
  return new BinarySchedule({ ...options, confirm: 'presumed', idleTimeoutMs: 20_000 });
}

function createHttp2(): Http2Schedule {
  return new Http2Schedule({ ...options, firstLimit: 100, idleTimeoutMs: 20_000 });
}

/** Of a transport that drains: says whether it has. */
const drains = new Map<Scene, () => boolean>();

function drain(scene: Scene): void {
  drains.set(scene, scene.drain(deadlineMs));
}

/** The newest connection, as the gateway sees it. */
function socketOf(scene: Scene): { accept(): void; deliver(): void; break(code?: string): void } {
  return scene.gateway.sockets.at(-1)!;
}

/** Both protocols do these alike. Writes are under way when a connection is `open`, and the gateway has read none. */
const alikeStates: Acts<Scene> = {
  idle: () => undefined,
  connecting: (scene) => void scene.submit(count),
  open: async (scene) => {
    socketOf(scene).accept();
    socketOf(scene).deliver();
    await advance(scene, 200);
  },
  'backing-off': async (scene) => {
    socketOf(scene).break();
  },
  draining: drain,
  closed: (scene) => scene.transport.destroy(),
};

const binaryStates: Acts<BinarySchedule> = {
  ...alikeStates,
  paused: async (scene) => {
    scene.gateway.sockets.at(-1)!.refuseNext(ErrorStatus.missingTopic);
    scene.gateway.flow();
  },
};

const http2States: Acts<Http2Schedule> = {
  ...alikeStates,
  open: async (scene) => {
    await alikeStates.open!(scene);
    // The gateway takes one stream until it has seen a valid token.
    scene.gateway.flow();
    await turn(scene);
    scene.gateway.flow();
    await turn(scene);
    expect(scene.transport.inFlight).toBe(0);
    scene.submit(count);
  },
  paused: async (scene) => {
    scene.gateway.refusedTopics.add('com.example.shop');
    scene.gateway.flow();
  },
};

const alikeEvents: Acts<Scene> = {
  submit: (scene) => void scene.submit(count),
  drain,
  destroy: (scene) => scene.transport.destroy(),
  recall: (scene) => scene.transport.recall(),
  probeNow: async (scene) => {
    const before = scene.gateway.sockets.length;
    scene.transport.probeNow();
    await turn(scene);
    expect(scene.gateway.sockets.length).toBe(before + 1);
  },
  'the connection opens': async (scene) => {
    socketOf(scene).accept();
    socketOf(scene).deliver();
  },
  'the attempt fails': (scene) => socketOf(scene).break(),
  'the connection breaks': (scene) => socketOf(scene).break(),
  'the third attempt in a row fails': async (scene) => {
    for (let attempts = 1; attempts <= 3; attempts++) {
      expect(scene.gateway.sockets).toHaveLength(attempts);
      socketOf(scene).break();
      if (attempts < 3) await advance(scene, 1_000);
    }
  },
  'the gateway refuses our certificate': (scene) =>
    socketOf(scene).break('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
  'everything flows': async (scene) => {
    for (let times = 0; times < 20; times++) {
      scene.gateway.flow();
      await advance(scene, 100);
    }
  },
  'what waits expires': async (scene) => {
    scene.gateway.flow();
    await advance(scene, 2_000);
    let calls = 0;
    scene.transport.onRoom(() => {
      calls += 1;
    });
    const past = Math.floor(scene.clock.epochMs() / 1_000) - 1;
    scene.submit(count, [], {
      expirations: Object.fromEntries(Array.from({ length: count }, (_, at) => [at, past])),
    });
    expect(scene.transport.room).toBe(0);
    await scene.turn();
    expect(calls).toBe(1);
    expect(scene.transport.room).toBe(count);
  },
  'unused for too long': async (scene) => {
    for (let passed = 0; passed < 30_000; passed += 500) {
      scene.gateway.flow();
      await advance(scene, 500);
    }
  },
  'the time comes': async (scene) => {
    const before = scene.gateway.sockets.length;
    for (let times = 0; times < 60 && scene.gateway.sockets.length === before; times++)
      await advance(scene, 1_000);
    expect(scene.gateway.sockets.length).toBe(before + 1);
  },
  'the deadline passes': async (scene) => advance(scene, deadlineMs),
};

const binaryEvents: Acts<BinarySchedule> = {
  ...alikeEvents,
  'the gateway refuses the topic': async (scene) => binaryStates.paused!(scene),
  'the probe succeeds': async (scene) => {
    await alikeEvents['the time comes']!(scene);
    await alikeEvents['everything flows']!(scene);
  },
  'the probe is refused': async (scene) => {
    await alikeEvents['the time comes']!(scene);
    socketOf(scene).break('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  },
};

const http2Events: Acts<Http2Schedule> = {
  ...alikeEvents,
  'the gateway refuses the topic': async (scene) => http2States.paused!(scene),
  'the gateway refuses the credential': (scene) => {
    scene.gateway.refusesCredential = true;
    scene.gateway.flow();
  },
  'the probe succeeds': async (scene) => {
    scene.gateway.refusedTopics.clear();
    await alikeEvents['the time comes']!(scene);
    await alikeEvents['everything flows']!(scene);
  },
  'the probe is refused': async (scene) => {
    await alikeEvents['the time comes']!(scene);
    await alikeEvents['everything flows']!(scene);
  },
};

/** The states that lead to a state, and itself. */
const pathTo: Readonly<Record<string, readonly string[]>> = {
  idle: ['idle'],
  connecting: ['connecting'],
  open: ['connecting', 'open'],
  'backing-off': ['connecting', 'backing-off'],
  paused: ['connecting', 'open', 'paused'],
  draining: ['connecting', 'open', 'draining'],
  closed: ['connecting', 'open', 'closed'],
};

/** Goes through the states before it, and brings the event about. Returns what a cell of the table says. */
async function run<Any extends Scene>(
  scene: Any,
  { state, event }: Row,
  states: Acts<Any>,
  events: Acts<Any>,
): Promise<string> {
  for (const each of pathTo[state]!) {
    await states[each]!(scene);
    await turn(scene);
    expect(stateOf(scene, each === 'draining')).toMatch(new RegExp(`^${each}`));
  }
  expect(events[event], `how "${event}" comes about`).toBeDefined();
  await events[event]!(scene);
  await turn(scene);
  const isDraining = event === 'drain' || state === 'draining';
  const next = stateOf(scene, isDraining);
  if (isDraining) expect(drains.get(scene)!()).toBe(next === 'closed');
  return scene.runs.length === 0 ? next : `${next}: ${fateOf(scene.runs.at(-1)!)}`;
}

function stateOf({ transport: { state } }: Scene, isDraining: boolean): string {
  if (state.kind === 'paused') return `paused ${state.about}`;
  return isDraining && state.kind !== 'closed' ? 'draining' : state.kind;
}

function fateOf(run: RecordedRun): string {
  expect(run.twice).toEqual([]);
  const kinds = new Set(run.settlements.map((settlement) => settlement?.kind ?? 'waiting'));
  return [...kinds].sort().join(' and ');
}

const rows = await readRows('transport');

test.for(rows.filter(({ binary }) => binary !== '—'))('binary, $state: $event → $binary', async (row) => {
  expect(await run(createBinary(), row, binaryStates, binaryEvents)).toBe(row.binary);
});

test.for(rows.filter(({ http2 }) => http2 !== '—'))('HTTP/2, $state: $event → $http2', async (row) => {
  expect(await run(createHttp2(), row, http2States, http2Events)).toBe(row.http2);
});

test('the diagram draws the table, and every event stands in it', async () => {
  const [drawn] = await readDiagrams('transport');
  const states = Object.keys(binaryStates);
  const arrows = arrowsOf(rows, 'binary', states);
  expect(arrowsOf(rows, 'http2', states)).toEqual(arrows);
  expect(drawn).toEqual(arrows.map((arrow) => arrow.replaceAll('backing-off', 'backing_off')).sort());
  const eventsOf = (protocol: 'binary' | 'http2'): string[] =>
    [...new Set(rows.filter((row) => row[protocol] !== '—').map(({ event }) => event))].sort();
  expect(eventsOf('binary')).toEqual(Object.keys(binaryEvents).sort());
  expect(eventsOf('http2')).toEqual(Object.keys(http2Events).sort());
});
