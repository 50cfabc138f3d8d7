import type { Random } from '@pushfleet/testkit';
import type { ChaosFleet } from './fleet.ts';
import type { Transport } from './memory.ts';

/** A fault that heals itself: `run` resolves when all is as it was. */
export interface ChaosFault {
  readonly name: string;
  readonly weight: number;
  /** It can leave notifications in doubt, which may then be sent twice. */
  readonly leavesDoubt: boolean;
  /** Where it concerns one transport alone. */
  readonly transport?: Transport | undefined;
  run(fleet: ChaosFleet, random: Random): Promise<void>;
}
