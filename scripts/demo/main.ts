import { once } from 'node:events';
import { Acts } from './acts.ts';
import { type DemoArguments, parseDemoArguments } from './arguments.ts';
import { createProgress } from './progress.ts';
import { openStage, type Stage } from './stage.ts';
import { type DemoResult, formatResult, holds } from './tally.ts';

// The main job for real: services as processes of their own, a simulated gateway, real TLS, Redis and Postgres. Ends
// with the gateway's ledger beside the outcomes, and with exit code 1 when they do not agree.

const singles = 200;
const http2Notifications = 1_000;
const feedbackTuples = 100;

async function main(): Promise<number> {
  const args = readArguments();
  if (args === undefined) return 2;
  const progress = createProgress(args.json ? process.stderr : process.stdout);
  progress.say('starting Redis, Postgres, the gateway simulator, a producer, two workers and a sweeper …');
  const stage = await openStage({ workers: 2, usualPort: args.keep, say: progress.say });
  const interrupted = untilSignal();
  try {
    const result = await Promise.race([interrupted, play(args, stage, progress)]);
    if (result === undefined) return 130;
    for (const line of formatResult(result)) progress.say(line);
    const ok = holds(result);
    progress.say(
      ok
        ? `Every notification ended in exactly one outcome, and the gateway's ledger agrees (${result.seconds} s).`
        : 'The sums do NOT agree.',
    );
    if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (args.keep) {
      progress.say(`The producer listens at ${stage.producerUrl}; Ctrl-C ends everything.`);
      await interrupted;
    }
    return ok ? 0 : 1;
  } finally {
    await stage.stop();
  }
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
  await acts.sendThroughCuts();
  await acts.sendSingles(singles);
  await acts.sendByHttp2(http2Notifications);
  const { duplicates: duplicatesAfterErrorPackets } = await control.ledger();
  await acts.sendThroughKill();
  const devicesDeactivated = await acts.sweepFeedback(feedbackTuples);
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

function readArguments(): DemoArguments | undefined {
  try {
    return parseDemoArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n`);
    return undefined;
  }
}

/** Settles with the first signal; the second ends everything at once. */
async function untilSignal(): Promise<undefined> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  process.once('SIGINT', () => process.exit(130));
  return undefined;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
