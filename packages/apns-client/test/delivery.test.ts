import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createMemoryTokenStore, loadCredential, ProviderTokenSource } from '@pushfleet/apns-credentials';
import { type FaultProxy, openFaultProxy, type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createBinaryTransport, createHttp2Transport, type Transport } from '../src/index.ts';
import { deliver, expectIdentity } from './delivery.ts';
import type { Gateway } from './gateway-test.ts';
import { Observed } from './observed.ts';
import { RecordedRun } from './recorded-run.ts';
import { TestCredential } from './test-credential.ts';
import type { TestTransport } from './test-transports.ts';

// One suite for whatever stands behind the Transport interface: what a worker relies on, held against the gateway's own
// ledger. What only one protocol has is in binary-faults.test.ts and http2-identity.test.ts.

type Way = 'binary' | 'HTTP/2 with a certificate' | 'HTTP/2 with a provider token';

const count = 3_000;
let simulator: Simulator;
let material: { ca: string; cert: string; key: string; keyId: string; teamId: string };
const opened: Transport[] = [];
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  simulator = await startSimulator({ args: ['--token-update-interval', '0', '--one-stream-until-token'] });
  const read = async (name: string) => readFile(join(simulator.tlsDir, name), 'utf8');
  const [ca, cert, key, ids] = await Promise.all(
    ['ca.pem', 'client.pem', 'client-key.pem', 'provider-key.json'].map(read),
  );
  const { keyId, teamId } = JSON.parse(ids!) as { keyId: string; teamId: string };
  material = { ca: ca!, cert: cert!, key: key!, keyId, teamId };
});

afterAll(async () => {
  for (const close of closers) await close();
  await simulator.stop();
});

function portOf(way: Way): number {
  return way === 'binary' ? simulator.binaryPort : simulator.http2Port;
}

async function open(way: Way, port = portOf(way), connections = 2): Promise<TestTransport> {
  const { ca, cert, key, keyId, teamId } = material;
  const observed = new Observed();
  const credential = new TestCredential({ cert, key });
  const common = {
    host: 'localhost',
    port,
    ca,
    connections,
    backoff: { baseMs: 5, capMs: 50 },
    attemptsPerMinute: 100_000,
    observer: observed.observer,
  } as const;
  const topic = 'com.example.shop';
  let transport: Transport;
  if (way === 'binary') {
    // Ends with proofs, so that nothing depends on how long a silence is.
    transport = createBinaryTransport({
      ...common,
      credential,
      confirm: 'proved',
      confirmAfterMs: 50,
      rotationFloorMs: 50,
    });
  } else if (way === 'HTTP/2 with a certificate') {
    transport = createHttp2Transport({
      ...common,
      topic,
      authentication: { kind: 'certificate', credential },
    });
  } else {
    const providerKey = await loadCredential({ p8: join(simulator.tlsDir, 'AuthKey.p8'), keyId, teamId });
    const tokens = new ProviderTokenSource({
      credential: { current: () => providerKey, onChange: () => () => undefined },
      store: createMemoryTokenStore(),
    });
    closers.push(() => tokens.close());
    transport = createHttp2Transport({ ...common, topic, authentication: { kind: 'token', tokens } });
  }
  opened.push(transport);
  const submit: TestTransport['submit'] = (content) => {
    const run = new RecordedRun(content);
    transport.submit(run);
    return run;
  };
  return { transport, observed, submit };
}

/** Nothing of the test before may count in this one. */
async function emptyGateway(): Promise<void> {
  for (const transport of opened.splice(0)) transport.destroy();
  await simulator.control.faults({ rules: [] });
  await vi.waitFor(
    async () => {
      const { binary, http2 } = await simulator.control.connections();
      expect([binary.open, http2.open]).toEqual([0, 0]);
    },
    { timeout: 20_000 },
  );
  await simulator.control.reset();
}

/** A refusal for good of the tokens that it matches, in the words of each protocol. */
function refusal(way: Way, match: object): object {
  return way === 'binary'
    ? { on: 'binary', match, action: { kind: 'reject', status: 8 } }
    : { on: 'http2', match, action: { kind: 'respond', reason: 'BadDeviceToken' } };
}

const gateway = (): Gateway => simulator as Gateway;

describe.each<Way>(['binary', 'HTTP/2 with a certificate', 'HTTP/2 with a provider token'])(
  'over %s',
  (way) => {
    const on = way === 'binary' ? 'binary' : 'http2';

    test('everything is received once, and proved', async () => {
      await emptyGateway();
      const sender = await open(way);
      const delivery = await deliver(sender, { count });
      expect(delivery).toMatchObject({ accepted: count, rejected: 0, uncertain: 0 });
      expect(delivery.rounds[0]?.sums).toEqual({ proved: count });
      await expectIdentity(gateway(), delivery);
    });

    test('bad tokens are rejected, each for itself, and the rest is received once', async () => {
      await emptyGateway();
      const bad = [0, 1, 500, 1_234, count - 1].map((position) => new RecordedRun({ count }).token(position));
      await simulator.control.faults({ rules: [refusal(way, { token: bad })] });
      const delivery = await deliver(await open(way), { count });
      expect(delivery).toMatchObject({ accepted: count - bad.length, rejected: bad.length, uncertain: 0 });
      const rejected = delivery.rounds[0]!.settlements.filter(
        (settlement) => settlement?.kind === 'rejected',
      );
      expect(rejected).toHaveLength(bad.length);
      for (const settlement of rejected) expect(settlement).toMatchObject({ answer: { tokenInvalid: true } });
      await expectIdentity(gateway(), delivery);
    });

    test.each(['reset', 'close'])(
      'a connection that ends by %s loses nothing, and doubles only the uncertain',
      async (kind) => {
        await emptyGateway();
        await simulator.control.faults({
          rules: [{ on, match: { after: 700, connection: 1 }, times: 1, action: { kind } }],
        });
        const delivery = await deliver(await open(way), { count });
        expect(delivery).toMatchObject({ accepted: count, rejected: 0 });
        await expectIdentity(gateway(), delivery);
      },
    );

    test('a network that cuts connections again and again loses nothing', async () => {
      await emptyGateway();
      const proxy: FaultProxy = await openFaultProxy({ target: { port: portOf(way) } });
      try {
        const heal = proxy.add('upstream', { type: 'limit_data', bytes: 150_000, how: 'reset' });
        const healed = proxy.waitForConnections(4).then(heal);
        const sender = await open(way, proxy.port);
        const delivery = await deliver(sender, { count });
        expect(delivery).toMatchObject({ accepted: count, rejected: 0 });
        await healed;
        sender.transport.destroy();
        await expectIdentity(gateway(), delivery);
      } finally {
        await proxy.close();
      }
    });

    test('a drain leaves nothing uncertain, and what it hands back was never received', async () => {
      await emptyGateway();
      // One connection: none is on its way when the drain begins, which the gateway would wait for.
      const sender = await open(way, portOf(way), 1);
      const run = sender.submit({ count });
      await vi.waitFor(() => expect(run.writes.some((writes) => writes > 0)).toBe(true));
      await sender.transport.drain(20_000);
      expect(run.open).toBe(0);
      expect(run.twice).toEqual([]);
      const { proved = 0, unprocessed = 0 } = run.sums;
      expect(proved + unprocessed).toBe(count);
      expect(proved).toBeGreaterThan(0);
      expect(await simulator.control.ledger()).toMatchObject({ unique: proved, duplicates: 0 });
      expect(sender.transport.state).toEqual({ kind: 'closed' });
    });

    test('what has expired is not sent', async () => {
      await emptyGateway();
      const sender = await open(way);
      const run = await sender.submit({ count: 20, expirations: { 3: 1_000, 19: 1_000 } }).settled();
      expect(run.sums).toEqual({ proved: 18, expired: 2 });
      expect(await simulator.control.ledger()).toMatchObject({ unique: 18 });
    });
  },
);
