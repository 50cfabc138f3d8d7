import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { createFigure, type Figure } from '../figure.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';

const section = 'bad-tokens';
const count = 100_000;
/** Every so many tokens is bad; the rate is to be at least this part of that without. */
const shares: readonly { readonly name: string; readonly badEvery: number; readonly atLeast?: number }[] = [
  { name: 'none', badEvery: 0 },
  { name: '0.1 %', badEvery: 1_000 },
  { name: '1 %', badEvery: 100, atLeast: 0.25 },
  { name: '10 %', badEvery: 10 },
];

interface Sent {
  readonly rate: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly other: number;
  readonly connections: number;
}

/** What bad tokens cost on binary, where each costs a connection; and that none of them loses or doubles another. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const simulator = await startSimulator({ args: ['--record-limit', '0'] });
  try {
    const figures: Figure[] = [];
    let without = 0;
    for (const { name, badEvery, atLeast } of shares) {
      say(name);
      const sent = await send(simulator, badEvery);
      if (badEvery === 0) without = sent.rate;
      figures.push(
        createFigure({
          section,
          name: `bad tokens: ${name}`,
          figure: sent.rate,
          unit: 'notifications/s',
          against: { name: 'without bad tokens', figure: without },
          ...(atLeast === undefined ? {} : { atLeast }),
        }),
        createFigure({
          section,
          name: `${name}: lost, or sent twice`,
          figure: await countWrong(simulator, sent, badEvery),
          unit: 'notifications',
          atMost: 0,
        }),
        createFigure({
          section,
          name: `${name}: connections used`,
          figure: sent.connections,
          unit: 'connections',
        }),
      );
    }
    return figures;
  } finally {
    await simulator.stop();
  }
}

async function send({ control, binaryPort: port, tlsDir }: Simulator, badEvery: number): Promise<Sent> {
  await control.reset();
  await control.faults({
    rules: [{ on: 'binary', match: { tokenPrefix: 'bad0' }, action: { kind: 'reject', status: 8 } }],
  });
  return runActor<Sent>('bad-token-sender', { port, tlsDir, count, badEvery });
}

/** Outcomes that are not what the gateway's ledger says or what was to come, and what it got twice. */
async function countWrong({ control }: Simulator, sent: Sent, badEvery: number): Promise<number> {
  const ledger = await control.ledger();
  const bad = badEvery === 0 ? 0 : count / badEvery;
  return (
    Math.abs(count - sent.accepted - sent.rejected) +
    Math.abs(ledger.unique - sent.accepted) +
    // The ledger counts the known-bad frames that end connections with a proof as rejected, too.
    Math.abs(sent.rejected - bad) +
    ledger.duplicates
  );
}
