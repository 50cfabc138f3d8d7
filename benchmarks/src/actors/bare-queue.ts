import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { FrameEncoder } from '@pushfleet/apns-wire';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { createColumns } from '../columns.ts';
import { printResult, readParameters } from '../run-actor.ts';

// The same path bare: a BullMQ worker takes jobs of 1,000 tokens, encodes them and writes. No outcome is accounted for.

interface Parameters {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly port: number;
  readonly tlsDir: string;
  readonly jobs: number;
}

const { redisUrl, prefix, port, tlsDir, jobs } = readParameters<Parameters>();
const socket = connect({
  host: '127.0.0.1',
  port,
  servername: 'localhost',
  ca: readFileSync(join(tlsDir, 'ca.pem')),
  cert: readFileSync(join(tlsDir, 'client.pem')),
  key: readFileSync(join(tlsDir, 'client-key.pem')),
});
await new Promise((resolve) => socket.once('secureConnect', resolve));

const encoder = new FrameEncoder(2);
const template = createColumns(1_000);
let identifier = 1;
let drained: Promise<unknown> | undefined;
let finished = 0;
const { promise: done, resolve } = Promise.withResolvers<void>();

const worker = new Worker<{ tokens: string }>(
  'bare',
  async ({ data }) => {
    const tokens = Buffer.from(data.tokens, 'base64');
    const chunk = Buffer.allocUnsafe(256 * 1_000);
    const length = encoder.encode(chunk, 0, { ...template, tokens }, 0, template.count, identifier);
    identifier += template.count;
    if (!socket.write(chunk.subarray(0, length))) {
      drained ??= new Promise((settle) =>
        socket.once('drain', () => {
          drained = undefined;
          settle(undefined);
        }),
      );
      await drained;
    }
  },
  {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
    prefix,
    concurrency: 50,
    autorun: false,
    removeOnComplete: { count: 0 },
  },
);
worker.on('completed', () => {
  finished++;
  if (finished === jobs) resolve();
});
await worker.waitUntilReady();
const startedAtMs = performance.timeOrigin + performance.now();
const running = worker.run();
await done;
printResult({ startedAtMs });
await worker.close();
await running;
socket.end();
process.exit(0);
