import type { Random } from '@pushfleet/testkit';
import type { ChaosFault } from './fault.ts';
import { gatewayFaults } from './gateway-faults.ts';
import { processFaults } from './process-faults.ts';
import { storeFaults } from './store-faults.ts';

const chaosFaults = [...gatewayFaults, ...processFaults, ...storeFaults];

/** One of those that fit the phase: in an exact one, none that leaves something in doubt. */
export function pickFault(random: Random, isExact: boolean): ChaosFault {
  const fitting = chaosFaults.filter(({ leavesDoubt }) => !isExact || !leavesDoubt);
  let at = random() * fitting.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of fitting) {
    at -= fault.weight;
    if (at < 0) return fault;
  }
  return fitting.at(-1)!;
}
