import { parseArgs } from 'node:util';
import { runKills } from './soak/kills.ts';
import { runMixedFaults } from './soak/mixed-faults.ts';
import { runSpells } from './soak/spells.ts';

// The long tests: workers killed at random moments while they stream, spells of a gateway in trouble, and a run through
// every fault at once. Each ends with the identity; exit code 1 when it does not hold.

const usage = `usage: npm run soak -- [flags]

  --kills N      rounds of the kill test; 20 by default, 0 leaves it out
  --size N       notifications in each; 200000 by default
  --spells S     seconds that each spell of a gateway in trouble lasts: 503, a flap, a connection stuck on 500, one of two
                 workers ill; 60 by default, 0 leaves them out
  --spell-size N notifications in each spell; 100000 by default
  --minutes M    length of the run through mixed faults; 10 by default, 0 leaves it out
  --seed S       of what is random
  --help`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '20' },
      size: { type: 'string', default: '200000' },
      spells: { type: 'string', default: '60' },
      'spell-size': { type: 'string', default: '100000' },
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(usage);
    return 0;
  }
  const number = (name: 'kills' | 'size' | 'spells' | 'spell-size' | 'minutes' | 'seed'): number => {
    const value = Number(values[name]);
    if (!Number.isFinite(value) || value < 0) throw new TypeError(`--${name} must be a number from 0 on`);
    return value;
  };
  const seed = number('seed');
  say(`seed ${seed}`);
  let ok = true;
  if (number('kills') > 0) {
    ok = (await runKills({ rounds: number('kills'), size: number('size'), seed, say })) && ok;
  }
  if (number('spells') > 0) {
    ok = (await runSpells({ seconds: number('spells'), size: number('spell-size'), say })) && ok;
  }
  if (number('minutes') > 0) {
    ok = (await runMixedFaults({ minutes: number('minutes'), seed, say })) && ok;
  }
  say(ok ? 'The identity held.' : 'The identity or a bound did NOT hold.');
  return ok ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
