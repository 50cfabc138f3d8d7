import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Acts } from './acts.ts';
import { type DemoArguments, demoUsage, parseDemoArguments } from './arguments.ts';
import { explainResult, nextSteps } from './explain-result.ts';
import { describePlayground, openPlayground } from './playground.ts';
import { createProgress } from './progress.ts';
import { openStage, type Stage } from './stage.ts';
import { type DemoResult, holds } from './tally.ts';

// The main job for real: services as processes of their own, a simulated gateway, real TLS, Redis and Postgres. Ends
// with the gateway's ledger beside the outcomes, and with exit code 1 when they do not agree.

const singles = 200;
const http2Notifications = 1_000;
const feedbackTuples = 100;

async function main(): Promise<number> {
  const args = readArguments();
  if (typeof args === 'number') return args;
  const progress = createProgress(args.json ? process.stderr : process.stdout);
  progress.say('starting Redis, Postgres, the gateway simulator, a producer, two workers and a sweeper …');
  const stopSignal = abortedBySignal();
  stopSignal.addEventListener('abort', () => progress.say('ending everything …'));
  const stopped = once(stopSignal, 'abort').then(() => undefined);
  const boardKey = randomBytes(18).toString('base64url');
  const stage = await openStage({
    workers: 2,
    isPlayground: args.keep,
    boardKey,
    say: progress.say,
    signal: stopSignal,
  });
  if (stage === undefined) return 130;
  try {
    const result = await Promise.race([stopped, play(args, stage, progress)]);
    if (result === undefined) return 130;
    for (const line of explainResult(result)) progress.say(line);
    if (!args.keep) for (const line of nextSteps) progress.say(line);
    if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (args.keep) await keepOpen(stage, { boardKey, progress, stopped });
    return holds(result) ? 0 : 1;
  } finally {
    await stage.stop();
  }
}

/** Until the signal. */
async function keepOpen(
  stage: Stage,
  options: {
    readonly boardKey: string;
    readonly progress: ReturnType<typeof createProgress>;
    readonly stopped: Promise<undefined>;
  },
): Promise<void> {
  const { boardKey, progress, stopped } = options;
  progress.say('');
  const playground = await openPlayground(stage, {
    boardKey,
    onEvent: (kind) => progress.say(`webhook: ${kind}`),
  });
  describePlayground(playground, progress.say);
  await stopped;
  await playground.stop();
}

async function play(
  args: DemoArguments,
  stage: Stage,
  progress: ReturnType<typeof createProgress>,
): Promise<DemoResult> {
  const startedMs = performance.now();
  const { control } = stage.simulator;
  const acts = new Acts(stage, progress, args.notifications);
  await acts.registerDevices();
  await acts.sendThroughCuts({ singles, http2: http2Notifications });
  const { duplicates: duplicatesAfterErrorPackets } = await control.ledger();
  const devicesDeactivated = await acts.sendThroughKill(feedbackTuples);
  const ledger = await control.ledger();
  const { queued, ...outcomes } = acts.outcomes;
  return {
    ...outcomes,
    gatewayReceivedUnique: ledger.unique,
    lost: queued + Math.max(0, outcomes.accepted - ledger.unique),
    duplicates: ledger.duplicates,
    duplicatesAfterErrorPackets,
    devicesDeactivated,
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
  };
}

/** An exit code instead, when there is nothing to do. */
function readArguments(): DemoArguments | number {
  try {
    const args = parseDemoArguments(process.argv.slice(2));
    if (args !== undefined) return args;
    process.stdout.write(`${demoUsage}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n${demoUsage}\n`);
    return 2;
  }
}

/** One signal to the whole group comes more than once: by itself, and from npm. Milliseconds. */
const sameSignalMs = 500;

/** Aborted by the first signal, or when whoever started us is gone; a later signal ends everything at once. */
function abortedBySignal(): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  const parent = process.ppid;
  const watch = setInterval(() => {
    // As in scripts/setup/run-step.mjs: without npm, a parent that goes may mean to leave us running.
    if (process.env.npm_lifecycle_event !== undefined && process.ppid !== parent) stop();
  }, 500).unref();
  const stop = (): void => {
    clearInterval(watch);
    if (controller.signal.aborted) {
      if (performance.now() - firstMs > sameSignalMs) process.exit(130);
      return;
    }
    firstMs = performance.now();
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  return controller.signal;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
