import { createPushQueue } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { printResult, readParameters } from '../run-actor.ts';

// Single sends, each a call of its own with a payload of its own; `concurrency` callers wait for their answers.

interface Parameters {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly app: string;
  readonly count: number;
  readonly concurrency: number;
}

const { redisUrl, prefix, app, count, concurrency } = readParameters<Parameters>();
const queue = createPushQueue({ redis: redisUrl, prefix });
const tokens = generateTokens({ count: 10_000 });
let next = 0;
async function caller(): Promise<void> {
  while (next < count) {
    const order = next++;
    await queue.enqueue({
      app,
      token: order.toString(16).padStart(8, '0') + tokens[order % tokens.length]!.slice(8),
      alert: { title: 'Your order', body: `Order ${order} is on its way` },
    });
  }
}
const startedAtMs = performance.timeOrigin + performance.now();
await Promise.all(Array.from({ length: concurrency }, caller));
printResult({ startedAtMs, enqueuedAtMs: performance.timeOrigin + performance.now() });
await queue.close();
process.exit(0);
