import { expect } from 'vitest';
import { type Row, type RowResult, window } from './run-row.ts';

/** First deliveries a second of a gateway without faults, by transport. */
export type CleanRates = Readonly<Record<Row['transport'], number>>;

/**
 * What may arrive twice, by docs/delivery.md#what-can-be-sent-twice-and-when: of the first connection that breaks what
 * it had in flight, of each one after it 200 and what has been accepted meanwhile. On HTTP/2 what was
 * taken and has no answer.
 */
function publishedBound(
  { transport, app }: Row,
  { size, accepted, connections, unanswered }: RowResult,
): number {
  if (transport === 'http2') return unanswered;
  return Math.min(app?.window ?? window, size) + 200 * (connections - 1) + accepted;
}

/** Everything that does not hold of a row, with its figures. */
export function checkRow(row: Row, result: RowResult, clean: CleanRates): void {
  const bars = row.bars ?? {};
  const { rejected = 0, expired = 0, lost = 0 } = bars;
  const broken: string[] = [];
  const most = (name: string, value: number, bar: number | undefined) => {
    if (bar !== undefined && value > bar) broken.push(`${name} is ${value}, at most ${bar}`);
  };
  const least = (name: string, value: number, bar: number | undefined) => {
    if (bar !== undefined && value < bar) broken.push(`${name} is ${value}, at least ${bar}`);
  };
  const exactly = (name: string, value: number, bar: number) => {
    if (value !== bar) broken.push(`${name} is ${value}, not ${bar}`);
  };
  const sum = result.accepted + result.rejected + result.expired + result.dead + result.queued;
  exactly('the sum', sum, result.size);
  exactly('rejected', result.rejected, rejected);
  exactly('expired', result.expired, expired);
  if (bars.mayDie !== true) exactly('dead', result.dead, 0);
  for (const reason of Object.keys(result.reasons))
    if (reason.startsWith('dead/') && reason !== 'dead/uncertain') broken.push(reason);
  if (bars.waits !== true) exactly('queued', result.queued, 0);
  if (bars.waits !== true && bars.mayDie !== true)
    least('delivered', result.delivered, result.size - rejected - expired - lost);
  most('accepted and not delivered', result.accepted - result.delivered, lost);
  most('doubled', result.doubled, publishedBound(row, result));
  const doubled = (bars.doubled ?? 0) + (bars.doubledPerConnection ?? 0) * result.connections;
  most('doubled', result.doubled, doubled);
  most('copies', result.mostCopies, bars.copies ?? (doubled === 0 ? 1 : undefined));
  most('calls', row.spellMs === undefined ? result.calls : result.callsInSpell, bars.calls);
  const written = result.calls + result.discarded;
  most('written', written, bars.writtenEach === undefined ? undefined : bars.writtenEach * result.size);
  most('recovery', result.recoveryMs, bars.recoveryMs);
  const paused = result.pauses.filter((cause) => !(bars.pauses ?? []).includes(cause));
  if (paused.length > 0) broken.push(`paused for ${paused.join()}`);
  const isDraining = row.spellMs !== undefined && result.deliveredAfter >= result.size / 2;
  const rate = bars.rate ?? (isDraining ? 0.8 : undefined);
  if (rate !== undefined) least('the rate', result.rate, Math.floor(rate * clean[row.transport]));
  expect(broken, `${row.transport}: ${row.name}\n${JSON.stringify(result, null, 2)}\n`).toEqual([]);
}
