import { setTimeout as delay } from 'node:timers/promises';
import type { Broadcast } from '@pushfleet/token-store';
import type { BroadcastAnswer } from '../schemas/broadcast-schemas.ts';
import type { ProgressReading } from './progress-readings.ts';

export interface ProgressOptions {
  readonly read: () => Promise<ProgressReading>;
  /** Whether the stream may go on: its key is good still. */
  readonly isAllowed: () => boolean;
  /** Ends the stream: a client connects again, to another producer. */
  readonly stopping: AbortSignal;
  /** Between looks, milliseconds. */
  readonly pollMs?: number;
}

/** Said when nothing changes, so that nobody in between takes the connection for dead. Milliseconds. */
const heartbeatMs = 15_000;

/** Server-sent events (WHATWG HTML, section 9.2) until nothing of the broadcast is queued. */
export async function* progressEvents(first: Broadcast, options: ProgressOptions): AsyncGenerator<string> {
  const { read, stopping, isAllowed, pollMs = 500 } = options;
  let sent = '';
  let sentAtMs = performance.now();
  let id = 0;
  yield 'retry: 2000\n\n';
  while (!stopping.aborted && isAllowed()) {
    const reading = await read().catch(() => undefined);
    const text = reading?.text ?? sent;
    if (text !== sent) {
      id += 1;
      yield `id: ${first.id}/${id}\nevent: progress\ndata: ${text}\n\n`;
      sent = text;
      sentAtMs = performance.now();
    } else if (performance.now() - sentAtMs > heartbeatMs) {
      yield ': still here\n\n';
      sentAtMs = performance.now();
    }
    if (reading !== undefined && isOver(reading.answer)) return;
    await delay(pollMs, undefined, { signal: stopping }).catch(() => undefined);
  }
}

function isOver({ state, queued }: BroadcastAnswer): boolean {
  return !['running', 'paused', 'cancelling'].includes(state) && queued === 0;
}
