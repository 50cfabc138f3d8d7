import { afterAll, describe, expect } from 'vitest';
import type { BinaryTransportOptions, ConnectionEnd } from '../src/index.ts';
import { deliver, expectIdentity } from './delivery.ts';
import { stopGateway, test } from './gateway-test.ts';

// Every fault of the binary gateway, alone and together, against the one identity. Everything here ends with a proof,
// so that no row depends on how long a silence is.

afterAll(stopGateway);

interface Row {
  readonly fault: string;
  readonly rules: readonly object[];
  readonly options?: Partial<BinaryTransportOptions>;
  /** Of 2,000; by default none. */
  readonly rejected?: number;
  readonly retryable?: number;
  /** Whether the fault leaves anything in doubt; by default it must not. */
  readonly uncertain?: true;
  /** How the connection may end that the fault meets. */
  readonly ends?: readonly ConnectionEnd[];
}

const on = 'binary';
const once = { on, times: 1 } as const;
const after = (notifications: number) => ({ ...once, match: { after: notifications } });

const statuses: readonly Row[] = [
  ...[2, 4, 5, 7, 8].map((status) => ({ status, rejected: 1 })),
  ...[1, 128, 255, 77].map((status) => ({ status, retryable: 1 })),
  ...[3, 6].map((status) => ({ status })),
].map(({ status, ...expected }) => ({
  fault: `status ${status}`,
  rules: [{ ...after(700), action: { kind: 'reject', status } }],
  ends: ['error-response'],
  ...expected,
}));

const rows: readonly Row[] = [
  ...statuses,
  {
    fault: 'status 0: no error at all',
    rules: [{ ...after(700), action: { kind: 'reject', status: 0 } }],
    ends: ['error-response'],
  },
  {
    fault: 'a shutdown, which names the last one taken',
    rules: [{ ...after(700), action: { kind: 'shutdown' } }],
    ends: ['error-response'],
  },
  {
    fault: 'a shutdown that names the first one not taken, where the gateway is set so',
    rules: [{ ...after(700), action: { kind: 'reject', status: 10 } }],
    options: { shutdownIdentifier: 'first-unsent' },
    ends: ['error-response'],
  },
  {
    fault: 'a shutdown that comes late',
    rules: [{ ...after(700), action: { kind: 'shutdown', delayFrames: 400 } }],
    ends: ['error-response'],
  },
  {
    fault: 'a shutdown before anything was taken, with identifier 0',
    rules: [{ ...once, action: { kind: 'shutdown', delayFrames: 1 } }],
    uncertain: true,
    ends: ['error-response'],
  },
  {
    fault: 'every 250th rejected',
    rules: [{ on, times: 7, match: { everyNth: 250 }, action: { kind: 'reject' } }],
    options: { suspectAfter: 100 },
    rejected: 7,
  },
  {
    fault: 'every 20th rejected, which makes a suspect of the run',
    rules: [{ on, times: 60, match: { everyNth: 20 }, action: { kind: 'reject' } }],
    rejected: 60,
  },
  {
    fault: 'an error that comes late, by time',
    rules: [{ ...after(700), action: { kind: 'reject', delayMs: 60 } }],
    rejected: 1,
    ends: ['error-response'],
  },
  {
    fault: 'an error that comes late, by frames',
    rules: [{ ...after(700), action: { kind: 'reject', delayFrames: 900 } }],
    rejected: 1,
    ends: ['error-response'],
  },
  {
    fault: 'an error response in six pieces',
    rules: [{ ...after(700), action: { kind: 'reject', splitMs: 3 } }],
    rejected: 1,
    ends: ['error-response'],
  },
  {
    fault: 'an error response that does not say for which',
    rules: [{ ...after(700), action: { kind: 'reject', identifier: 0 } }],
    uncertain: true,
    ends: ['error-response'],
  },
  {
    fault: 'an error response for an identifier that was never used',
    rules: [{ ...after(700), action: { kind: 'reject', identifier: 4_000_000_000 } }],
    uncertain: true,
    ends: ['error-response'],
  },
  {
    fault: 'a close without a word',
    rules: [{ ...after(700), action: { kind: 'close' } }],
    uncertain: true,
    ends: ['gateway-closed'],
  },
  {
    fault: 'a close right after the handshake',
    rules: [{ on, times: 2, action: { kind: 'close' } }],
    ends: ['gateway-closed'],
  },
  {
    fault: 'a reset',
    rules: [{ ...after(700), action: { kind: 'reset' } }],
    uncertain: true,
    ends: ['reset', 'write-error'],
  },
  {
    fault: 'a gateway that stops reading for a while',
    rules: [{ ...after(700), forMs: 500, action: { kind: 'stopReading' } }],
  },
  {
    fault: 'a gateway that stops reading for ever',
    rules: [{ ...after(700), action: { kind: 'stopReading' } }],
    options: { proofTimeoutMs: 300 },
    uncertain: true,
    ends: ['proof-timeout'],
  },
  {
    fault: 'a gateway that reads slowly',
    rules: [{ on, action: { kind: 'slowReading', bytesPerSecond: 1_000_000 } }],
  },
  {
    fault: 'connections refused',
    rules: [{ on, times: 3, action: { kind: 'refuse' } }],
    ends: ['connect-failed'],
  },
  {
    fault: 'a closed port',
    rules: [{ on, forMs: 300, action: { kind: 'closePort' } }],
    ends: ['connect-failed'],
  },
  {
    fault: 'slow reading, late errors and refusals together',
    rules: [
      { on, action: { kind: 'slowReading', bytesPerSecond: 2_000_000 } },
      { on, times: 4, match: { everyNth: 300 }, action: { kind: 'reject', delayFrames: 50, splitMs: 1 } },
      { on, times: 1, match: { connection: 2 }, action: { kind: 'refuse' } },
    ],
    options: { suspectAfter: 100 },
    rejected: 4,
  },
  {
    fault: 'errors, closes and resets together',
    rules: [
      { on, times: 3, match: { everyNth: 350 }, action: { kind: 'reject' } },
      { on, times: 2, match: { after: 500 }, action: { kind: 'close' } },
      { on, times: 2, match: { after: 600 }, action: { kind: 'reset' } },
    ],
    rejected: 3,
    uncertain: true,
  },
];

const count = 2_000;
const proved: Partial<BinaryTransportOptions> = {
  confirm: 'proved',
  confirmAfterMs: 20,
  rotationFloorMs: 20,
  pauseProbeMs: 40,
};

describe.each(rows)('$fault', ({ rules, options, ends, ...expected }) => {
  const cases = [
    ['command 2', { command: 2, connections: 1 }],
    ['command 1, two connections', { command: 1, connections: 2 }],
  ] as const;
  test.for(cases)('loses nothing and doubles nothing: %s', async ([, base], { gateway }) => {
    await gateway.setFaults(...rules);
    const opened = gateway.open({ ...proved, ...base, ...options });
    const delivery = await deliver(opened, { count });
    await expectIdentity(gateway, delivery);
    expect(delivery).toMatchObject({
      accepted: count - (expected.rejected ?? 0),
      rejected: expected.rejected ?? 0,
      ...(expected.uncertain === true ? {} : { retryable: expected.retryable ?? 0, uncertain: 0 }),
    });
    if (ends !== undefined) expect(opened.observed.ends.some((end) => ends.includes(end))).toBe(true);
    await opened.transport.drain(10_000);
    expect(opened.transport.inFlight).toBe(0);
  });
});
