import { onTestFinished } from 'vitest';
import { createBatchId, type DeadLetter, type Lane, type LetterRetention } from '../src/index.ts';
import { DeadLetters, WorkerLink } from '../src/worker/index.ts';
import type { QueueProbe } from './queue-probe.ts';

export interface DeadLetterInput {
  /** Reason of each notification, whose indexes begin at 1. */
  readonly reasons?: readonly string[];
  readonly lane?: Lane;
  readonly atMs?: number;
  /** Epoch seconds. */
  readonly expiration?: number;
  readonly alert?: string;
}

/** A letter whose notifications go to tokens of their index. */
export function deadLetter(input: DeadLetterInput = {}): DeadLetter {
  const { reasons = ['uncertain', 'status 1', 'uncertain'], lane = 'bulk', atMs = Date.now() } = input;
  const { expiration = 4_000_000_000, alert = 'a' } = input;
  const payload = JSON.stringify({ aps: { alert } });
  const tokens = reasons.map((_, place) => tokenOf(place + 1));
  return {
    v: 1,
    reasons: Object.fromEntries(reasons.map((reason, place) => [place + 1, reason])),
    deaths: Object.fromEntries(reasons.map((_, place) => [place + 1, { status: 1, atMs }])),
    job: {
      v: 1,
      app: 'shop',
      lane,
      batch: createBatchId(),
      batchSize: reasons.length,
      count: reasons.length,
      index: reasons.map((_, place) => place + 1),
      enqueuedAtMs: atMs,
      tokens: Buffer.from(tokens.join(''), 'hex').toString('base64'),
      tokenLength: 32,
      payloads: Buffer.from(payload).toString('base64'),
      payloadLength: [Buffer.byteLength(payload)],
      expiration,
      priority: 10,
    },
    atMs,
  };
}

export function tokenOf(index: number): string {
  return index.toString(16).padStart(64, '0');
}

/** What writes the letters of the app `shop`. */
export async function openLetters(
  { prefix, redis }: QueueProbe,
  retention?: LetterRetention,
): Promise<{ readonly letters: DeadLetters; readonly trimmed: object[] }> {
  const link = new WorkerLink({ redis, prefix, lockDurationMs: 30_000, stalledIntervalMs: 30_000 });
  await link.open(5_000);
  onTestFinished(() => link.close());
  const trimmed: object[] = [];
  const onTrimmed = (some: object) => void trimmed.push(some);
  const options = retention === undefined ? { onTrimmed } : { onTrimmed, retention };
  return { letters: new DeadLetters(link, 'shop', options), trimmed };
}

export async function allOf<T>(some: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of some) all.push(one);
  return all;
}
