import { setTimeout as delay } from 'node:timers/promises';
import { createRandom, randomInt } from '@pushfleet/testkit';
import { prepareClients, runClients } from './clients.ts';
import { pickFault } from './faults.ts';
import { type ChaosFleet, openChaosFleet } from './fleet.ts';
import { ClientMemory } from './memory.ts';
import { Timeline } from './timeline.ts';
import { judge, type Verdict } from './verdict.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** How long faults are made, seconds; the verdict comes after it. */
  readonly seconds: number;
  /** Flags for the Node.js of every service. */
  readonly execArgv?: readonly string[];
  readonly say: (line: string) => void;
}

export interface ChaosReport extends Verdict {
  readonly seed: number;
  readonly seconds: number;
  /** Notifications that were promised to clients. */
  readonly promised: number;
  readonly broadcasts: number;
  readonly faults: Readonly<Record<string, number>>;
}

/** An exact phase has only faults that leave nothing in doubt: there nothing may come twice. Share of the run. */
const exactShare = 0.5;
/** A phase of each kind, at most, seconds. */
const phaseSeconds = 60;
/** So many faults go on at once. */
const lanes = 3;

/** One run: the whole system, clients that go on, faults by seed, and the verdict. */
export async function runChaos({ seed, seconds, execArgv = [], say }: ChaosOptions): Promise<ChaosReport> {
  const fleet = await openChaosFleet(execArgv);
  try {
    const memory = new ClientMemory();
    const timeline = new Timeline();
    await prepareClients(fleet, memory, seed);
    const over = new AbortController();
    const clients = runClients(fleet, memory, seed, over.signal);
    // Where a fault cannot be healed, this rejection is told and not the clients'.
    clients.catch(() => undefined);
    try {
      await misbehave(fleet, timeline, { seed, seconds, say });
    } finally {
      over.abort();
    }
    say('the faults are over');
    await heal(fleet);
    await clients;
    say('every call is answered');
    const verdict = await judge(fleet, memory, timeline, say);
    const faults: Record<string, number> = {};
    for (const { name } of timeline.events) faults[name] = (faults[name] ?? 0) + 1;
    const promised = memory.notifications.filter((item) => item.notificationId !== undefined).length;
    return { seed, seconds, promised, broadcasts: memory.broadcasts.length, faults, ...verdict };
  } finally {
    await fleet.stop();
  }
}

/** The same seed makes the same faults in the same order. */
async function misbehave(
  fleet: ChaosFleet,
  timeline: Timeline,
  { seed, seconds, say }: ChaosOptions,
): Promise<void> {
  const pairs = Math.max(1, Math.round((seconds * exactShare) / phaseSeconds));
  const phaseMs = (seconds * 1_000) / (2 * pairs);
  for (let phase = 0; phase < 2 * pairs; phase++) {
    const isExact = phase % 2 === 0;
    const endMs = performance.now() + phaseMs;
    say(isExact ? 'faults that leave nothing in doubt' : 'every fault');
    await Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        const random = createRandom(seed + 1_000 * phase + lane);
        while (performance.now() < endMs) {
          const fault = pickFault(random, isExact);
          say(`  ${fault.name}`);
          await timeline.record(fault, async () => fault.run(fleet, random));
          await delay(randomInt(random, 1_500));
        }
      }),
    );
  }
}

async function heal(fleet: ChaosFleet): Promise<void> {
  await fleet.simulator.control.faults({ rules: [] });
  for (const proxy of Object.values(fleet.edges)) proxy.clear();
  for (const slot of fleet.slots) await slot.ensureStarted();
}
