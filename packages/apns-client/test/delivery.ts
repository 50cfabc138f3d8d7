import { expect } from 'vitest';
import type { Transport } from '../src/index.ts';
import type { Gateway } from './gateway-test.ts';
import type { RecordedRun, RunContent } from './recorded-run.ts';
import type { TestTransport } from './test-transports.ts';

/** What became of notifications that a caller sends again until each is accepted or rejected. */
export interface Delivery {
  readonly accepted: number;
  readonly rejected: number;
  /** How often one came back as uncertain: the bound of duplicates. */
  readonly uncertain: number;
  readonly retryable: number;
  readonly unprocessed: number;
}

/** More rounds than any fault of a test asks for. */
const mostRounds = 20;

/** Sends one run, and what is left of it again, as a worker with `onUncertain: resend` does. */
export async function deliver(
  { transport, submit }: TestTransport,
  content: RunContent,
): Promise<Delivery & { readonly rounds: readonly RecordedRun[] }> {
  const sums = { accepted: 0, rejected: 0, uncertain: 0, retryable: 0, unprocessed: 0 };
  const rounds: RecordedRun[] = [];
  let rest: RunContent = content;
  while (rest.positions === undefined || rest.positions.length > 0) {
    if (rounds.length === mostRounds) throw new Error(`Not delivered: ${JSON.stringify(sums)}`);
    await room(transport);
    const run = submit(rest);
    rounds.push(run);
    await run.settled();
    const again: number[] = [];
    for (const [index, settlement] of run.settlements.entries()) {
      const { kind } = settlement!;
      if (kind === 'expired') throw new Error('nothing here expires');
      sums[kind] += 1;
      if (kind !== 'accepted' && kind !== 'rejected') again.push(run.original(index));
    }
    rest = { ...content, positions: again };
  }
  return { ...sums, rounds };
}

async function room(transport: Transport): Promise<void> {
  while (transport.room <= 0) {
    await new Promise<void>((resolve) => {
      transport.onRoom(resolve);
    });
  }
}

/**
 * The identity, held against the gateway's own ledger: what was accepted was received, what was rejected was not, and
 * nothing was received twice but what came back as uncertain.
 */
export async function expectIdentity(
  gateway: Gateway,
  delivery: Delivery & { readonly rounds: readonly RecordedRun[] },
): Promise<void> {
  const received = new Map<string, number>();
  for await (const { token, outcome, status } of gateway.control.notifications()) {
    // Status 0 says that nothing is wrong: the one it names counts as accepted (`docs/protocol/binary.md#status-0`).
    if (outcome === 'received' || status === 0)
      received.set(String(token), (received.get(String(token)) ?? 0) + 1);
  }
  const problems: string[] = [];
  const uncertainTokens = new Set<string>();
  for (const run of delivery.rounds) {
    for (const [index, settlement] of run.settlements.entries()) {
      const token = run.token(index);
      const times = received.get(token) ?? 0;
      if (settlement!.kind === 'uncertain') uncertainTokens.add(token);
      if (settlement!.kind === 'accepted' && times === 0) problems.push(`lost: position ${index}`);
      if (settlement!.kind === 'rejected' && times > 0 && !uncertainTokens.has(token)) {
        problems.push(`rejected, and received all the same: position ${index}`);
      }
    }
  }
  let duplicates = 0;
  for (const [token, times] of received) {
    duplicates += times - 1;
    if (times > 1 && !uncertainTokens.has(token)) problems.push(`received twice without doubt: ${token}`);
  }
  expect(problems).toEqual([]);
  expect(duplicates).toBeLessThanOrEqual(delivery.uncertain);
  expect(await gateway.control.ledger()).toMatchObject({ duplicates });
}
