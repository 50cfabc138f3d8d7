import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBinaryTransport, type OutcomeSink } from '@pushfleet/apns-client';
import {
  type DecodedPushJob,
  type RetryPolicy,
  Settlement,
  selectColumns,
} from '@pushfleet/push-queue/worker';
import { generateTokenBytes, type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The state diagram of docs/delivery.md, against what notifications go through in a transport and a push job's
// bookkeeping: every arrow is brought about, and there is no other.

let simulator: Simulator;
let tls: { ca: string; cert: string; key: string };

beforeAll(async () => {
  simulator = await startSimulator();
  const read = async (name: string) => readFile(join(simulator.tlsDir, name), 'utf8');
  tls = { ca: await read('ca.pem'), cert: await read('client.pem'), key: await read('client-key.pem') };
});
afterAll(async () => simulator.stop());

const count = 40;
/** Of the job: expired before it is written, and cancelled before it is handed over. */
const expiredPlace = 5;
const cancelledPlace = 6;
/** Its payload is longer than command 2 allows. */
const oversizedPlace = 7;

function createJob(): DecodedPushJob {
  const payloads = [{ aps: { alert: 'Hello' } }, { aps: { alert: 'x'.repeat(2_048) } }].map((payload) =>
    Buffer.from(JSON.stringify(payload)),
  );
  const [sound, oversized] = payloads;
  return {
    app: 'shop',
    lane: 'bulk',
    batch: '01936f5e-0000-7000-8000-000000000000' as DecodedPushJob['batch'],
    batchSize: count,
    enqueuedAtMs: Date.now(),
    count,
    indexes: Uint32Array.from({ length: count }, (_, place) => place),
    columns: {
      count,
      tokens: generateTokenBytes({ count }),
      tokenOffsets: Uint32Array.from({ length: count + 1 }, (_, place) => place * 32),
      payloads: Buffer.concat(payloads),
      payloadOffsets: Uint32Array.of(0, sound!.length, sound!.length + oversized!.length),
      payloadOf: Uint16Array.from({ length: count }, (_, place) => (place === oversizedPlace ? 1 : 0)),
      expirations: Uint32Array.from({ length: count }, (_, place) => (place === expiredPlace ? 1 : 0)),
      priorities: new Uint8Array(count).fill(10),
    },
    pushType: 'alert',
    collapseId: null,
    bytes: 0,
  };
}

/** Tries a job until nothing is left of it, and writes down where each notification goes. */
async function observe(rules: readonly object[], policy: RetryPolicy): Promise<Set<string>> {
  await simulator.control.reset();
  await simulator.control.faults({ rules });
  const job = createJob();
  const settlement = new Settlement(job);
  const arrows = new Set<string>();
  const states = new Array<string>(count).fill('[*]');
  const go = (place: number, to: string) => {
    arrows.add(`${states[place]} --> ${to}`);
    states[place] = to;
  };
  for (let place = 0; place < count; place++) go(place, 'queued');
  settlement.endPlaces('cancelled', 'cancelled', Date.now(), (place) => {
    if (place !== cancelledPlace) return false;
    go(place, 'cancelled');
    return true;
  });
  const transport = createBinaryTransport({
    host: 'localhost',
    port: simulator.binaryPort,
    ca: tls.ca,
    credential: { current: () => tls, onChange: () => () => undefined },
    connections: 1,
    confirm: 'proved',
    confirmAfterMs: 20,
    rotationFloorMs: 20,
    backoff: { baseMs: 1, capMs: 10 },
  });
  while (settlement.left > 0) {
    const places = settlement.placesDue(Number.POSITIVE_INFINITY);
    settlement.handOver(places);
    const columns = places === undefined ? job.columns : selectColumns(job, places);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const each = (from: number, to: number, state: string) => {
      for (let position = from; position < to; position++) go(settlement.placeOf(position), state);
    };
    /** Discarded by the gateway, and given back or sent again by the transport. */
    const noteDiscarded = (position: number) => {
      const place = settlement.placeOf(position);
      if (states[place] === 'inFlight') for (const state of ['unprocessed', 'queued']) go(place, state);
    };
    const sink: OutcomeSink = {
      written: (from, to) => {
        for (let position = from; position < to; position++) {
          noteDiscarded(position);
          go(settlement.placeOf(position), 'inFlight');
        }
      },
      resent: (from, to) => {
        each(from, to, 'uncertain');
        each(from, to, 'queued');
        settlement.resent(to - from);
      },
      settled: (from, to, verdict) => {
        if (verdict.kind !== 'unprocessed') each(from, to, verdict.kind);
        if (verdict.kind === 'accepted') settlement.accept(from, to, verdict.certainty);
        if (verdict.kind === 'uncertain') settlement.uncertain(from, to);
        if (verdict.kind === 'expired') settlement.expire(from, to, Date.now());
        if (verdict.kind === 'unprocessed') settlement.unprocessed(from, to);
        for (let position = from; position < to; position++) {
          if (verdict.kind === 'rejected') settlement.reject(position, verdict.answer, Date.now());
          if (verdict.kind === 'retryable') settlement.retry(position, verdict.answer);
          if (verdict.kind === 'unprocessed') noteDiscarded(position);
        }
        if (settlement.outstanding === 0) resolve();
      },
    };
    transport.submit({ columns, sink });
    await ended;
    const before = [...states.keys()].filter((place) => ['uncertain', 'retryable'].includes(states[place]!));
    settlement.endTry(policy, Date.now());
    const outcomes = new Map(settlement.exceptions.map(({ index, outcome }) => [index, outcome]));
    for (const place of before) go(place, outcomes.get(job.indexes[place]!) ?? 'queued');
  }
  await transport.drain(10_000);
  const final = new Set<string>(settlement.exceptions.map(({ outcome }) => outcome));
  if (settlement.accepted.proved > 0) final.add('accepted');
  expect(new Set(states)).toEqual(final);
  for (let place = 0; place < count; place++) go(place, '[*]');
  return arrows;
}

test('notifications go the ways that docs/delivery.md draws, all of them and no other', async () => {
  const page = await readFile(new URL('../../../docs/delivery.md', import.meta.url), 'utf8');
  const diagram = /```mermaid\nstateDiagram-v2\n([^`]*)```/.exec(page)?.[1] ?? '';
  const drawn = diagram
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

  const on = 'binary';
  const resend: RetryPolicy = {
    attempts: 2,
    onUncertain: 'resend',
    retryForMs: 60_000,
    countTries: true,
    waitMs: () => 1,
  };
  const tooLate = { ...resend, retryForMs: 0 };
  const reject = (status: number, times: number) => ({
    on,
    times,
    match: { after: 10 },
    action: { kind: 'reject', status },
  });
  const close = { on, times: 1, match: { after: 10 }, action: { kind: 'close' } };
  const observed = new Set<string>();
  const scenarios: readonly (readonly [object[], RetryPolicy])[] = [
    [[reject(8, 1)], resend],
    [[reject(1, 1)], resend],
    [[reject(1, 1)], { ...resend, attempts: 1 }],
    [[close], resend],
    [[reject(1, 1)], tooLate],
    [[close], { ...resend, onUncertain: 'drop' }],
    [[close], tooLate],
  ];
  for (const [rules, policy] of scenarios)
    for (const arrow of await observe(rules, policy)) observed.add(arrow);
  expect([...observed].sort()).toEqual(drawn.sort());
});
