import { type Finding, findingsAbout } from './finding.ts';

const { ok, problem } = findingsAbout('clock');

/** Expiries, pauses and the evidence against devices compare clocks of different machines. */
const toleranceMs = 5_000;

/** @param others Epoch milliseconds as others told them, halfway between question and answer. */
export function checkClock(others: readonly ClockReading[]): Finding[] {
  const wrong = others.filter(({ offsetMs }) => Math.abs(offsetMs) > toleranceMs);
  if (wrong.length === 0) {
    return others.length === 0 ? [] : [ok(`agrees with ${others.map(({ who }) => who).join(' and ')}`)];
  }
  return wrong.map(({ who, offsetMs }) =>
    problem(
      `this machine is ${(Math.abs(offsetMs) / 1_000).toFixed(1)} s ${offsetMs > 0 ? 'behind' : 'ahead of'} ${who}`,
      'Let NTP set the clocks of both: expiries, and what counts as evidence against a device, depend on them.',
    ),
  );
}

export interface ClockReading {
  readonly who: string;
  /** Their time minus ours, milliseconds. */
  readonly offsetMs: number;
}

/** Asks for a time, and compares it with ours at the middle of the wait. */
export async function readClock(
  who: string,
  now: () => number,
  ask: () => Promise<number>,
): Promise<ClockReading> {
  const before = now();
  const theirs = await ask();
  return { who, offsetMs: theirs - (before + now()) / 2 };
}
