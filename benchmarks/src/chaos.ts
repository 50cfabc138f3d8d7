import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { mutants } from './chaos/mutants.ts';
import { type ChaosReport, runChaos } from './chaos/run-chaos.ts';

const usage = `usage: npm run chaos -- [flags]

The whole system as processes, clients that go on, and faults at random; then every notification that was answered 202
is followed to its outcome and to the gateway. Exit code 1 when a promise of docs/delivery.md did not hold.

  --seconds S    how long faults are made in a round; 120 by default, 180 at most
  --rounds N     rounds, each with a system of its own and the next seed; 1 by default
  --seed S       of what is random: the same seed makes the same faults
  --mutant N     plants bug N of --mutants, which the run must find: exit code 0 when it does
  --mutants      says which bugs there are
  --json FILE    writes the report there
  --help`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '120' },
      rounds: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(usage);
    return 0;
  }
  if (values.mutants) {
    for (const [at, { name, file }] of mutants.entries()) say(`${at + 1}  ${name} (${file})`);
    return 0;
  }
  const seconds = readNumber('seconds', values.seconds, 10);
  // The gateway's ledger keeps every notification of a round.
  if (seconds > 180) throw new TypeError('--seconds must be 180 at most: --rounds makes a long run');
  const rounds = readNumber('rounds', values.rounds, 1);
  const seed = readNumber('seed', values.seed, 0);
  const mutant =
    values.mutant === undefined ? undefined : mutants[readNumber('mutant', values.mutant, 1) - 1];
  if (values.mutant !== undefined && mutant === undefined)
    throw new TypeError(`There are ${mutants.length} mutants`);
  if (mutant !== undefined) {
    say(`planted: ${mutant.name}`);
    process.env.CHAOS_MUTANT = JSON.stringify(mutant);
  }
  const hook = new URL('./chaos/plant-mutant.ts', import.meta.url).href;
  const execArgv = mutant === undefined ? [] : ['--import', hook];
  const reports: ChaosReport[] = [];
  for (let round = 0; round < rounds; round++) {
    say(`seed ${seed + round}`);
    const report = await runChaos({ seed: seed + round, seconds, say, execArgv });
    printReport(report);
    reports.push(report);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(reports, null, 2)}\n`);
  }
  const isFound = reports.some(({ broken }) => broken.length > 0);
  if (mutant === undefined) return isFound ? 1 : 0;
  say(isFound ? 'The planted bug was found.' : 'The planted bug was NOT found.');
  return isFound ? 0 : 1;
}

function readNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new TypeError(`--${flag} must be a whole number from ${least} on`);
  return value;
}

function printReport({
  promised,
  broadcasts,
  faults,
  outcomes,
  doubles,
  recoveryMs,
  broken,
  seed,
}: ChaosReport): void {
  say(
    `${promised} notifications promised, ${broadcasts} broadcasts; settled ${(recoveryMs / 1_000).toFixed(1)} s after the last fault`,
  );
  say(
    `faults: ${Object.values(faults).reduce((sum, count) => sum + count, 0)} of ${Object.keys(faults).length} kinds`,
  );
  for (const [what, count] of Object.entries(outcomes).sort()) say(`  ${what}: ${count}`);
  for (const [app, causes] of Object.entries(doubles)) {
    for (const [cause, count] of Object.entries(causes)) say(`  doubles of ${app}, by ${cause}: ${count}`);
  }
  for (const line of broken) say(`NOT KEPT: ${line}`);
  say(broken.length === 0 ? 'Every promise held.' : `Replay: npm run chaos -- --seed ${seed}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
// Whatever a severed connection still waits for is of no use any more.
process.exit();
