import { expect, test } from 'vitest';
import type { BinaryClosure } from '../src/binary/closure.ts';
import { BinaryConnection } from '../src/binary/connection.ts';
import { WriteAhead } from '../src/binary/write-ahead.ts';
import { AnswerTimes } from '../src/http2/answer-times.ts';
import { Backlog } from '../src/http2/backlog.ts';
import type { Http2Closure } from '../src/http2/closure.ts';
import { Http2Connection } from '../src/http2/connection.ts';
import { resolveHttp2Options } from '../src/http2/options.ts';
import { RefusedTopics } from '../src/http2/refused-topics.ts';
import { Http2Run } from '../src/http2/run.ts';
import { countOf } from '../src/transport/span.ts';
import { SpanQueue } from '../src/transport/span-queue.ts';
import { TrackedRun } from '../src/transport/tracked-run.ts';
import { WaitingSpans } from '../src/transport/waiting-spans.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeGateway, type FakeSocket } from './fake-gateway.ts';
import { FakeHttp2Gateway, type FakeHttp2Socket } from './fake-http2-gateway.ts';
import { arrowsOf, type Row, readDiagrams, readRows } from './life-cycle-page.ts';
import { RecordedRun } from './recorded-run.ts';

// docs/lifecycles/connection.md, executed: each row of its table is brought about on both protocols, and its diagrams
// draw nothing else.

/** Notifications in flight. */
const count = 10;

type Acts<Scene> = Readonly<Record<string, (scene: Scene, event: string) => void>>;

/** Events after which a row looks whether anything is in flight: nothing is written before them. */
const idleEvents = ['write', 'leave, nothing in flight'];

class BinaryScene {
  readonly clock = new FakeClock();
  readonly gateway = new FakeGateway();
  readonly closures: BinaryClosure[] = [];
  readonly connection = new BinaryConnection(
    {
      id: 'gateway#1',
      host: 'gateway.test',
      port: 2195,
      serverName: 'gateway.test',
      secureContext: {} as never,
      keepAliveMs: 60_000,
      command: 2,
      window: 1_000,
      stretch: new WriteAhead(200, false).begin(),
      connectTimeoutMs: 10_000,
      writeStallMs: 20_000,
      errorGraceMs: 1_000,
      shutdownIdentifier: 'last-sent',
      clock: this.clock,
      openSocket: this.gateway.openSocket,
    },
    {
      opened: () => undefined,
      trusted: () => undefined,
      progressed: () => undefined,
      ended: (_, closure) => this.closures.push(closure),
    },
  );
  readonly #queue = new SpanQueue();
  readonly #source = new WaitingSpans(this.#queue, this.clock);

  get socket(): FakeSocket {
    return this.gateway.sockets[0]!;
  }

  write(): void {
    const run = new TrackedRun(new RecordedRun({ count }), { inFlight: 0 });
    this.#queue.push({ run, from: 0, to: count });
    expect(this.connection.write(this.#source)).toBe(count);
  }

  answer(identifier: number): void {
    this.socket.take();
    this.socket.say(8, identifier);
    this.socket.deliver();
  }

  leave(): void {
    this.connection.leave('drained', 5_000);
  }

  get uncertain(): number {
    return countOf(this.closures[0]?.uncertain ?? []);
  }
}

const binaryStates: Acts<BinaryScene> = {
  connecting: () => undefined,
  silent: ({ socket }) => socket.accept(),
  open: (scene) => {
    scene.socket.accept();
    scene.connection.serve();
  },
  retiring: ({ connection }) => connection.retire(),
  leaving: (scene) => scene.leave(),
  listening: ({ socket }, event) => {
    // It lies on its way when the write fails.
    if (event === 'an error response') {
      socket.take();
      socket.say(8, 4);
    }
    socket.failWrites();
  },
  closed: ({ connection }) => connection.destroy('drained'),
};

const binaryEvents: Acts<BinaryScene> = {
  'TLS is up': ({ socket }) => socket.accept(),
  'the deadline passes': ({ clock }) => clock.advance(10_000),
  'the connection breaks': ({ socket }) => socket.break(),
  'the gateway refuses our certificate': ({ socket }) =>
    socket.break('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
  leave: (scene) => scene.leave(),
  'leave, nothing in flight': (scene) => scene.leave(),
  destroy: ({ connection }) => connection.destroy('rotated'),
  serve: ({ connection }) => connection.serve(),
  'the silence has been kept': ({ connection, clock }) => {
    connection.serveAfter(100);
    expect(connection.state).toBe('silent');
    clock.advance(100);
  },
  probe: ({ connection }) => connection.probe('rotated', 5_000),
  write: (scene) => scene.write(),
  'silence settles': ({ connection, clock, socket }) => {
    socket.take();
    clock.advance(1_000);
    connection.takeSilent(1_000, () => undefined);
  },
  retire: ({ connection }) => connection.retire(),
  'an error response': (scene) => scene.answer(4),
  'an error response that names no frame': (scene) => scene.answer(0),
  'a write fails': ({ socket }) => socket.failWrites(),
  'no write gets on': ({ clock }) => clock.advance(20_000),
  'the gateway closes': ({ socket }) => {
    socket.close();
    socket.deliver();
  },
  'the gateway breaks the protocol': ({ socket }) => {
    socket.babble(Buffer.of(1, 2, 3, 4, 5, 6));
    socket.deliver();
  },
  'the last answer': ({ socket }) => socket.flow(),
  'the grace passes': ({ clock }) => clock.advance(1_000),
};

class Http2Scene {
  readonly clock = new FakeClock();
  readonly gateway = new FakeHttp2Gateway();
  readonly closures: Http2Closure[] = [];
  readonly connection: Http2Connection;
  #uncertain = 0;

  constructor(event: string) {
    const options = resolveHttp2Options({
      host: 'gateway.test',
      port: 443,
      topic: 'com.example.shop',
      authentication: { kind: 'certificate', credential: {} as never },
      clock: this.clock,
      pingAfterMs: 2_000,
      pingTimeoutMs: 1_000,
      ...(event === 'the deadline passes' ? { streamTimeoutMs: 1_500 } : {}),
    });
    this.connection = new Http2Connection(
      { ...options, openSocket: this.gateway.openSocket },
      {
        id: 'gateway#1',
        secureContext: {} as never,
        isInDoubt: false,
        startsSmall: false,
        earlyStreams: 0,
        answerTimes: new AnswerTimes(),
      },
      {
        opened: () => undefined,
        progressed: () => undefined,
        accepted: () => undefined,
        judged: () => undefined,
        probed: () => undefined,
        unprocessed: () => undefined,
        uncertain: (spans) => {
          this.#uncertain += countOf(spans);
        },
        credentialRefused: () => undefined,
        doubted: () => undefined,
        ended: (_, closure) => this.closures.push(closure),
      },
    );
  }

  get socket(): FakeHttp2Socket {
    return this.gateway.sockets[0]!;
  }

  write(): void {
    const backlog = new Backlog(this.clock, new RefusedTopics(30_000));
    const tally = { inFlight: 0 };
    backlog.push(new Http2Run(new RecordedRun({ count }), { topic: 'com.example.shop', tally }));
    this.connection.write(backlog, undefined);
    expect(backlog.size).toBe(0);
  }

  /** What has been written reaches the gateway. */
  arrive(): void {
    for (let writes = 0; writes < 5; writes++) this.socket.take();
    this.socket.read();
  }

  tickFor(ms: number): void {
    for (let passed = 0; passed < ms; passed += 500) {
      this.clock.advance(500);
      this.connection.tick(false);
    }
  }

  get uncertain(): number {
    return this.#uncertain + countOf(this.closures[0]?.uncertain ?? []);
  }
}

const http2States: Acts<Http2Scene> = {
  connecting: () => undefined,
  open: ({ socket }) => {
    socket.accept();
    socket.deliver();
  },
  leaving: ({ connection }) => connection.leave('drained', 'drained'),
  listening: ({ socket }) => socket.failWrites(),
  closed: ({ connection }) => connection.destroy('drained'),
};

const http2Events: Acts<Http2Scene> = {
  'TLS is up': ({ socket }) => socket.accept(),
  SETTINGS: ({ socket }) => {
    socket.accept();
    socket.deliver();
  },
  'the deadline passes': (scene) => {
    if (scene.connection.state === 'connecting') {
      scene.clock.advance(10_000);
      return;
    }
    scene.arrive();
    scene.tickFor(1_500);
  },
  'the connection breaks': ({ socket }) => socket.break(),
  'the gateway refuses our certificate': ({ socket }) =>
    socket.break('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
  leave: ({ connection }) => connection.leave('drained', 'drained'),
  'leave, nothing in flight': ({ connection }) => connection.leave('drained', 'drained'),
  destroy: ({ connection }) => connection.destroy('rotated'),
  write: (scene) => scene.write(),
  'the gateway answers': ({ socket }) => socket.flow(),
  probe: ({ connection }) => connection.probe(undefined),
  GOAWAY: (scene) => {
    scene.arrive();
    scene.socket.hang();
    scene.socket.goAway();
    scene.socket.deliver();
  },
  'five answers with 5xx in a row': (scene) => {
    scene.arrive();
    scene.socket.service = 'ailing';
    for (let answers = 0; answers < 5; answers++) scene.socket.answer();
    scene.socket.deliver();
  },
  'a write fails': ({ socket }) => socket.failWrites(),
  'no write gets on': ({ clock }) => clock.advance(20_000),
  'the gateway closes': ({ socket }) => {
    socket.close();
    socket.deliver();
  },
  'the gateway breaks the protocol': ({ socket }) => {
    socket.babble();
    socket.deliver();
  },
  'a PING goes unanswered': (scene) => {
    scene.arrive();
    scene.socket.deafen();
    scene.tickFor(3_000);
  },
  'the last answer': ({ socket }) => socket.flow(),
  'the grace passes': ({ clock }) => clock.advance(1_000),
};

interface AnyScene {
  readonly connection: { readonly state: string; readonly inFlight: number };
  readonly closures: readonly { readonly end: string }[];
  readonly uncertain: number;
  write(): void;
}

/** Goes through the states before it, writes, and brings the event about. Returns what a cell of the table says. */
function run<Scene extends AnyScene>(
  scene: Scene,
  { state, event }: Row,
  states: Acts<Scene>,
  events: Acts<Scene>,
): string {
  const path = pathTo[state]!;
  for (const each of path) {
    states[each]?.(scene, event);
    if (each === 'open' && !idleEvents.includes(event)) scene.write();
  }
  expect(events[event], `how "${event}" comes about`).toBeDefined();
  events[event]!(scene, event);
  const { connection, closures, uncertain } = scene;
  expect(closures).toHaveLength(connection.state === 'closed' ? 1 : 0);
  const end = state === 'closed' ? '' : closures.map((closure) => ` ${closure.end}`).join('');
  const wasWritten = path.includes('open') && event !== 'leave, nothing in flight' && state !== 'closed';
  if (!wasWritten) return `${connection.state}${end}`;
  const fate = connection.inFlight > 0 ? 'in flight' : uncertain > 0 ? 'uncertain' : 'settled';
  if (fate === 'uncertain') expect(uncertain).toBe(count);
  return `${connection.state}${end}: ${fate}`;
}

/** The states that lead to a state, and itself. */
const pathTo: Readonly<Record<string, readonly string[]>> = {
  connecting: ['connecting'],
  silent: ['connecting', 'silent'],
  open: ['connecting', 'open'],
  retiring: ['connecting', 'open', 'retiring'],
  leaving: ['connecting', 'open', 'leaving'],
  listening: ['connecting', 'open', 'listening'],
  closed: ['connecting', 'closed'],
};

const rows = await readRows('connection');

test.for(rows.filter(({ binary }) => binary !== '—'))('binary, $state: $event → $binary', (row) => {
  expect(run(new BinaryScene(), row, binaryStates, binaryEvents)).toBe(row.binary);
});

test.for(rows.filter(({ http2 }) => http2 !== '—'))('HTTP/2, $state: $event → $http2', (row) => {
  expect(run(new Http2Scene(row.event), row, http2States, http2Events)).toBe(row.http2);
});

test('the diagrams draw the table, and every event stands in it', async () => {
  const [binary, http2] = await readDiagrams('connection');
  expect(binary).toEqual(arrowsOf(rows, 'binary', Object.keys(binaryStates)));
  expect(http2).toEqual(arrowsOf(rows, 'http2', ['connecting', 'open', 'leaving']));
  const eventsOf = (protocol: 'binary' | 'http2'): string[] =>
    [...new Set(rows.filter((row) => row[protocol] !== '—').map(({ event }) => event))].sort();
  expect(eventsOf('binary')).toEqual(Object.keys(binaryEvents).sort());
  expect(eventsOf('http2')).toEqual(Object.keys(http2Events).sort());
});
