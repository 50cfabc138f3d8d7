import { openBroadcastRig, stationNames } from '../broadcast-rig.ts';
import { createFigure, type Figure } from '../figure.ts';
import type { SectionContext } from '../section.ts';

const section = 'cost';
/** A smaller run while working on it: PUSHFLEET_BENCH_SHARE=0.1 */
const devices = 1_000_000 * Number(process.env.PUSHFLEET_BENCH_SHARE ?? 1);
const rttMs = 50;
/**
 * Assumed prices, US dollars: a core of a rented machine for an hour, and a gigabyte that leaves the provider's network. As
 * large clouds list them without a discount.
 */
const prices = { coreHour: 0.05, gigabyteOut: 0.09 };
/** How much of the hours that are paid the machines work: a fleet is sized for its peaks. */
const busyShare = 0.1;
/** What Amazon SNS asks for a million mobile pushes, US cents. */
const snsPrice = 50;

/** What a million notifications of a broadcast take at each station, and in money. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const transport of ['binary', 'http2'] as const) {
    const name = transport === 'binary' ? 'binary' : `HTTP/2 at ${rttMs} ms`;
    say(name);
    const rig = await openBroadcastRig(transport, devices, rttMs);
    try {
      // The first one compiles.
      await rig.broadcast();
      const { stations, lineBytes } = await rig.broadcast();
      const millions = devices / 1e6;
      const each = (what: string, figure: number, unit: string): Figure =>
        createFigure({ section, name: `${name}: ${what}`, figure: figure / millions, unit });
      const seconds = stationNames.reduce((sum, station) => sum + stations[station].seconds, 0);
      figures.push(
        ...stationNames.map((station) => each(station, stations[station].seconds, 'processor s per million')),
        each('all stations', seconds, 'processor s per million'),
        ...stationNames
          .filter((station) => stations[station].bytes > 0)
          .map((station) =>
            each(`${station}, read and written`, stations[station].bytes / 1e6, 'MB per million'),
          ),
        each('between worker and gateway', lineBytes / 1e6, 'MB per million'),
        ...money(name, seconds / millions, lineBytes / millions),
      );
    } finally {
      await rig.close();
    }
  }
  return figures;
}

/** @param seconds Processor time of a million. @param bytes To and from the gateway. */
function money(name: string, seconds: number, bytes: number): Figure[] {
  const cores = (seconds / 3_600 / busyShare) * prices.coreHour * 100;
  const network = (bytes / 1e9) * prices.gigabyteOut * 100;
  const sns = { name: 'Amazon SNS', figure: snsPrice };
  const unit = 'US cents per million';
  return [
    createFigure({ section, name: `${name}: processors, ${busyShare * 100} % busy`, figure: cores, unit }),
    createFigure({ section, name: `${name}: network`, figure: network, unit }),
    createFigure({ section, name: `${name}: both`, figure: cores + network, unit, against: sns }),
  ];
}
