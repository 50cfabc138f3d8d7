import { startSimulator } from '@pushfleet/testkit';
import { createFigure, type Figure, median } from '../figure.ts';
import { installPeers } from '../peers.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';

const section = 'stream';
const unit = 'notifications/s';
const rounds = 5;
const count = 5_000_000;
const apnCount = 100_000;

/** All sides send to the same simulator, one after another, in turns. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const simulator = await startSimulator({ args: ['--record-limit', '0', '--max-unique', '0'] });
  try {
    const { binaryPort: port, tlsDir } = simulator;
    const rateOf = async (mode: string, more: Readonly<Record<string, unknown>>): Promise<number> =>
      (await runActor<{ rate: number }>('stream-sender', { mode, port, tlsDir, connections: 1, ...more }))
        .rate;
    const bare: number[] = [];
    const transport: number[] = [];
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      bare.push(await rateOf('bare', { count }));
      transport.push(await rateOf('transport', { count }));
    }
    const ours = median(transport);
    const figures = [
      createFigure({
        section,
        name: 'binary transport, full accounting, ended by a proof',
        figure: ours,
        unit,
        against: { name: 'a bare TLS socket writing ready-made frames', figure: median(bare) },
        atLeast: 0.7,
      }),
    ];
    const peers = await installPeers(['apn@1.7.8']);
    if (peers === undefined) {
      say('apn 1.7.8 cannot be installed from here: not measured');
      return figures;
    }
    say('apn 1.7.8');
    const apn = await rateOf('apn', { count: apnCount, peers });
    return [
      ...figures,
      createFigure({
        section,
        name: 'the same against apn 1.7.8',
        figure: ours,
        unit,
        against: { name: 'apn 1.7.8, no accounting', figure: apn },
        atLeast: 20,
      }),
    ];
  } finally {
    await simulator.stop();
  }
}
