import {
  type BroadcastRig,
  openBroadcastRig,
  type RigTransport,
  shares,
  stationNames,
} from '../broadcast-rig.ts';
import { createFigure, type Figure } from '../figure.ts';
import type { SectionContext } from '../section.ts';

const section = 'audience';
/** PUSHFLEET_BENCH_SHARE=4 for four million. */
const devices = 1_000_000 * Number(process.env.PUSHFLEET_BENCH_SHARE ?? 1);
/** Between worker and gateway, over HTTP/2, milliseconds. */
const rttMs = 50;
/** What Duolingo sends: so many in so many seconds. */
const goal = { millions: 4, seconds: 6 };

/**
 * A broadcast to all devices, from the call until they are accepted, over binary and over HTTP/2 at a distance; against
 * what its slowest station takes alone; and what each station costs.
 */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const transport of ['binary', 'http2'] as const) {
    const rig = await openBroadcastRig(transport, devices, rttMs);
    try {
      figures.push(...(await measure(rig, transport, say)));
    } finally {
      await rig.close();
    }
  }
  return figures;
}

async function measure(
  rig: BroadcastRig,
  transport: RigTransport,
  say: SectionContext['say'],
): Promise<Figure[]> {
  const name = transport === 'binary' ? 'binary' : `HTTP/2 at ${rttMs} ms`;
  const seconds = (what: string, figure: number): Figure =>
    createFigure({ section, name: `${name}: ${what}`, figure, unit: 's' });
  const alone = await rig.alone();
  const [slowest, slowestMs] = Object.entries(alone).toSorted(([, one], [, other]) => other - one)[0]!;
  say(
    `${name}, alone: ${Object.entries(alone)
      .map(([station, ms]) => `${station} ${(ms / 1_000).toFixed(2)} s`)
      .join(', ')}`,
  );
  const { acceptedMs, enqueuedMs, finishedMs, stations, connections } = await rig.broadcast();
  say(
    `${name}: ${shares.map((share) => `${share * 100} % ${(acceptedMs[share]! / 1_000).toFixed(2)} s`).join(', ')}; ` +
      `enqueued ${(enqueuedMs / 1_000).toFixed(2)} s; ${connections} connections`,
  );
  const millions = rig.devices / 1e6;
  const cores = stationNames.map(
    (station) => (stations[station].seconds / millions) * (goal.millions / goal.seconds),
  );
  return [
    createFigure({
      section,
      name: `${name}: all of ${rig.devices.toLocaleString('en')} devices accepted`,
      figure: acceptedMs[1]! / 1_000,
      unit: 's',
      against: {
        name: `the slowest station alone (${slowest.replace(',', ' and')})`,
        figure: slowestMs / 1_000,
      },
      atMost: 1.5,
    }),
    ...shares
      .filter((share) => share < 1)
      .map((share) => seconds(`${share * 100} % accepted`, acceptedMs[share]! / 1_000)),
    seconds('the last enqueued', enqueuedMs / 1_000),
    seconds('every outcome in Postgres', finishedMs / 1_000),
    ...Object.entries(alone).map(([station, ms]) =>
      seconds(`${station.replace(',', ' and')} alone`, ms / 1_000),
    ),
    ...stationNames.map((station, place) =>
      createFigure({
        section,
        name: `${name}: ${station}, for ${goal.millions} million in ${goal.seconds} s`,
        figure: cores[place]!,
        unit: 'cores',
      }),
    ),
    createFigure({
      section,
      name: `${name}: all stations, for ${goal.millions} million in ${goal.seconds} s`,
      figure: cores.reduce((sum, each) => sum + each, 0),
      unit: 'cores',
    }),
  ];
}
