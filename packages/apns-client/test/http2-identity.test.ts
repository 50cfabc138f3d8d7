import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createMemoryTokenStore, loadCredential, ProviderTokenSource } from '@pushfleet/apns-credentials';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createHttp2Transport, type Http2Authentication, type Http2TransportOptions } from '../src/index.ts';
import { deliver, expectIdentity } from './delivery.ts';
import type { Gateway } from './gateway-test.ts';
import { Observed } from './observed.ts';
import { RecordedRun } from './recorded-run.ts';
import { TestCredential } from './test-credential.ts';
import type { TestTransport } from './test-transports.ts';

// What binary-faults.test.ts does for the binary gateway: every fault of the simulator's HTTP/2 gateway against the one
// identity, by the simulator's own ledger, with a certificate and with a provider token.

const count = 2_000;

interface Row {
  readonly fault: string;
  readonly rules: readonly object[];
  readonly options?: Partial<Http2TransportOptions>;
  /** Of 2,000; by default none. */
  readonly rejected?: number;
  readonly retryable?: number;
  /** How many come back in doubt, at least and at most; by default none. */
  readonly uncertain?: readonly [number, number];
}

const on = 'http2';
const everyNth = (nth: number, action: object) => ({ on, match: { everyNth: nth }, action });
/** Keeps streams in flight, so that what befalls the connection befalls them. */
const inFlight = { on, action: { kind: 'delay', ms: 20 } };

const rows: readonly Row[] = [
  { fault: 'none', rules: [] },
  {
    fault: 'tokens that are gone, and bad ones',
    rules: [
      everyNth(100, { kind: 'respond', reason: 'Unregistered', timestamp: 1_700_000_000_000 }),
      everyNth(99, { kind: 'respond', reason: 'BadDeviceToken' }),
    ],
    // 20, and of the 1,980 that the first rule leaves every 99th.
    rejected: 40,
  },
  {
    fault: 'answers that ask for another try, known and unknown, with and without a reason',
    rules: [
      { on, match: { everyNth: 200 }, times: 10, action: { kind: 'respond', reason: 'ServiceUnavailable' } },
      { on, match: { everyNth: 90 }, times: 10, action: { kind: 'respond', reason: 'TooManyRequests' } },
      { on, match: { everyNth: 80 }, times: 10, action: { kind: 'respond', reason: 'Teapot', status: 418 } },
      { on, match: { everyNth: 70 }, times: 10, action: { kind: 'respond', status: 502, body: '<html>' } },
    ],
    retryable: 40,
  },
  {
    fault: 'GOAWAY, again and again, with streams above its last one',
    rules: [
      inFlight,
      { on, match: { after: 500 }, action: { kind: 'goaway', streamsBack: 50, reason: 'Shutdown' } },
    ],
  },
  {
    fault: 'GOAWAY that has looked at nothing',
    rules: [
      inFlight,
      { on, match: { after: 500, connection: 1 }, action: { kind: 'goaway', lastStreamId: 0 } },
    ],
  },
  {
    fault: 'GOAWAY that leaves streams without an answer',
    rules: [
      inFlight,
      { on, match: { after: 500, connection: 1 }, action: { kind: 'goaway', answers: false } },
    ],
    uncertain: [1, 1_000],
  },
  {
    fault: 'streams that are refused',
    rules: [everyNth(50, { kind: 'resetStream', code: 7 })],
  },
  {
    fault: 'streams that are reset, taken or not',
    rules: [
      { on, match: { everyNth: 61 }, times: 20, action: { kind: 'resetStream', code: 2 } },
      { on, match: { everyNth: 67 }, times: 20, action: { kind: 'resetStream', code: 8, taken: true } },
    ],
    uncertain: [40, 40],
  },
  {
    fault: 'streams that hang, taken or not',
    rules: [
      { on, match: { everyNth: 400 }, times: 4, action: { kind: 'hang', taken: true } },
      { on, match: { everyNth: 300 }, times: 4, action: { kind: 'hang' } },
    ],
    options: { streamTimeoutMs: 1_000 },
    // On a machine that is busy others may take as long.
    uncertain: [8, count],
  },
  {
    fault: 'a reset and a close of the connection',
    rules: [
      inFlight,
      { on, match: { after: 300, connection: 1 }, action: { kind: 'reset' } },
      { on, match: { after: 300, connection: 2 }, action: { kind: 'close' } },
    ],
    uncertain: [1, 2_000],
  },
  {
    fault: 'a gateway that hangs and answers no PING',
    rules: [
      { on, match: { after: 200, connection: 1 }, action: { kind: 'dropPings' } },
      { on, match: { after: 200, connection: 1 }, action: { kind: 'hang', taken: true } },
    ],
    options: { pingAfterMs: 200, pingTimeoutMs: 200 },
    uncertain: [1, count],
  },
  {
    fault: 'a limit on streams that falls and rises',
    rules: [
      { on, match: { after: 100 }, action: { kind: 'streamLimit', limit: 5 } },
      { on, match: { after: 400 }, action: { kind: 'streamLimit', limit: 500 } },
    ],
  },
];

let simulator: Simulator;
let authentications: Readonly<Record<'certificate' | 'token', () => Http2Authentication>>;
let ca: string;
const tokenSources: ProviderTokenSource[] = [];

beforeAll(async () => {
  // Each test signs a token of its own.
  simulator = await startSimulator({ args: ['--token-update-interval', '0', '--one-stream-until-token'] });
  const read = async (name: string) => readFile(join(simulator.tlsDir, name), 'utf8');
  const [authority, cert, key, ids] = await Promise.all(
    ['ca.pem', 'client.pem', 'client-key.pem', 'provider-key.json'].map(read),
  );
  ca = authority!;
  const { keyId, teamId } = JSON.parse(ids!) as { keyId: string; teamId: string };
  const providerKey = await loadCredential({ p8: join(simulator.tlsDir, 'AuthKey.p8'), keyId, teamId });
  authentications = {
    certificate: () => ({
      kind: 'certificate',
      credential: new TestCredential({ cert: cert!, key: key! }),
    }),
    token: () => {
      const tokens = new ProviderTokenSource({
        credential: { current: () => providerKey, onChange: () => () => undefined },
        store: createMemoryTokenStore(),
      });
      tokenSources.push(tokens);
      return { kind: 'token', tokens };
    },
  };
});

afterAll(async () => {
  for (const tokens of tokenSources) tokens.close();
  await simulator.stop();
});

/** Streams of the test before may still wait: they must not count in this one. */
async function emptyGateway(): Promise<void> {
  await simulator.control.faults({ rules: [] });
  await vi.waitFor(async () => expect((await simulator.control.connections()).http2.open).toBe(0), {
    timeout: 20_000,
  });
  await simulator.control.reset();
}

function open(
  authentication: Http2Authentication,
  options: Partial<Http2TransportOptions> = {},
): TestTransport {
  const observed = new Observed();
  const transport = createHttp2Transport({
    host: 'localhost',
    port: simulator.http2Port,
    ca,
    topic: 'com.example.shop',
    authentication,
    connections: 2,
    backoff: { baseMs: 5, capMs: 50 },
    attemptsPerMinute: 100_000,
    observer: observed.observer,
    ...options,
  });
  const submit: TestTransport['submit'] = (content) => {
    const run = new RecordedRun(content);
    transport.submit(run);
    return run;
  };
  return { transport, observed, submit };
}

describe.each(['certificate', 'token'] as const)('with a %s', (kind) => {
  test.each(rows.map((row) => [row.fault, row] as const))(
    'nothing is lost, and nothing comes twice without doubt: %s',
    async (_, { rules, options, rejected = 0, retryable = 0, uncertain = [0, 0] }) => {
      await emptyGateway();
      await simulator.control.faults({ rules });
      const opened = open(authentications[kind](), options);
      try {
        const delivery = await deliver(opened, { count });
        expect(delivery).toMatchObject({ accepted: count - rejected, rejected, retryable, unprocessed: 0 });
        expect(delivery.uncertain).toBeGreaterThanOrEqual(uncertain[0]);
        expect(delivery.uncertain).toBeLessThanOrEqual(uncertain[1]);
        expect(delivery.rounds.flatMap(({ twice }) => twice)).toEqual([]);
        await expectIdentity(simulator as Gateway, delivery);
        await opened.transport.drain(10_000);
      } finally {
        opened.transport.destroy();
      }
    },
  );
});
