import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBinaryTransport, type OutcomeSink } from '@pushfleet/apns-client';
import { createColumns, stampTokens, tokenLength } from '../columns.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Sends a stream of which every nth token is bad; all of it fits the window. Ends with the proof of the last.

interface Parameters {
  readonly port: number;
  readonly tlsDir: string;
  readonly count: number;
  /** Every nth token begins with the two bytes that the gateway rejects; 0: none. */
  readonly badEvery: number;
}

/** Distinct all the same: the number of the run stands in the third and fourth byte. */
const badTokenPrefix = [0xba, 0xd0];

const { port, tlsDir, count, badEvery } = readParameters<Parameters>();
const read = (name: string): string => readFileSync(join(tlsDir, name), 'utf8');
const cert = read('client.pem');
const key = read('client-key.pem');
let accepted = 0;
let rejected = 0;
let other = 0;
let connections = 0;
const transport = createBinaryTransport({
  host: '127.0.0.1',
  port,
  serverName: 'localhost',
  ca: read('ca.pem'),
  credential: { current: () => ({ cert, key }), onChange: () => () => undefined },
  window: 2_000_000,
  // The limit that protects a real gateway from a flood of bad tokens would be all that is measured.
  attemptsPerMinute: 1_000_000,
  observer: {
    connectionOpened: () => {
      connections++;
    },
  },
});
const sink: OutcomeSink = {
  written: () => undefined,
  settled: (from, to, { kind }) => {
    if (kind === 'accepted') accepted += to - from;
    else if (kind === 'rejected') rejected += to - from;
    else other += to - from;
  },
};
const template = createColumns(1_000);
const runs = Array.from({ length: count / template.count }, (_, run) => {
  const columns = stampTokens(template, run);
  for (let position = 0; badEvery > 0 && position < columns.count; position++) {
    if ((run * columns.count + position) % badEvery === 0)
      columns.tokens.set(badTokenPrefix, position * tokenLength);
  }
  return { columns, sink };
});
const startedMs = performance.now();
for (const run of runs) transport.submit(run);
await transport.drain(600_000);
printResult({
  rate: count / ((performance.now() - startedMs) / 1000),
  accepted,
  rejected,
  other,
  connections,
  cpuSeconds: process.cpuUsage().user / 1e6,
});
process.exit(0);
