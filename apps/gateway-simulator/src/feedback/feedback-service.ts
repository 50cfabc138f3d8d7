import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import type { FeedbackAction } from '../faults/fault-schema.ts';
import type { GatewayLink } from '../tls/tls-port.ts';
import type { FeedbackStore } from './feedback-store.ts';

/** Bytes of one write when no rule says otherwise. */
const usualSliceBytes = 64 * 1_024;

/** What is sent on one connection, and how it ends. */
interface Script {
  bytes: number;
  sliceBytes: number;
  everyMs: number;
  end: 'close' | 'hang' | 'reset';
}

/**
 * The feedback service (`docs/protocol/feedback.md#reading-clears-the-list`): sends what it has on connect, and
 * closes. Each tuple goes to one connection; one of which a byte was sent is gone, also when the connection breaks;
 * the others wait for the next.
 */
export class FeedbackService {
  readonly #store: FeedbackStore;
  readonly #faults: FaultBook;
  readonly #lingerMs: number;

  /** @param lingerMs How long a reader may take to close its side, milliseconds. */
  constructor(store: FeedbackStore, faults: FaultBook, lingerMs: number) {
    this.#store = store;
    this.#faults = faults;
    this.#lingerMs = lingerMs;
  }

  /** Serves one connection to its end; settles without an error, whatever the reader does. */
  async serve(link: GatewayLink): Promise<void> {
    const { socket, app } = link;
    // Nothing is expected from a reader; unread bytes would turn our close into a reset.
    socket.resume();
    const tuples = this.#store.take(app);
    const script = this.#scriptOf(link);
    const bytes = Buffer.concat(tuples).subarray(0, script.bytes);
    const sent = await send(socket, bytes, script);
    this.#store.putBack(unsent(tuples, sent), app);
    if (script.end === 'hang') await hang(socket);
    else if (script.end === 'reset') link.reset();
    else await closeGently(socket, this.#lingerMs);
  }

  #scriptOf(link: GatewayLink): Script {
    const script: Script = {
      bytes: Number.POSITIVE_INFINITY,
      sliceBytes: usualSliceBytes,
      everyMs: 0,
      end: 'close',
    };
    for (const active of this.#faults.forConnection('feedback', link.number, link.app)) {
      if (!active.isInForce || !changeScript(script, active.rule.action)) continue;
      active.fire();
    }
    return script;
  }
}

/** Says whether the action is one for a script. */
function changeScript(script: Script, action: FeedbackAction): boolean {
  switch (action.kind) {
    case 'cut':
      script.bytes = action.afterBytes;
      return true;
    case 'hang':
      script.bytes = action.afterBytes;
      script.end = 'hang';
      return true;
    case 'slice':
      script.sliceBytes = action.bytes;
      script.everyMs = action.everyMs;
      return true;
    case 'close':
      script.bytes = 0;
      return true;
    case 'reset':
      script.bytes = Math.min(script.bytes, action.afterBytes);
      script.end = 'reset';
      return true;
    case 'refuse':
    case 'closePort':
      return false;
    default:
      return action satisfies never;
  }
}

/** Returns the number of bytes that were handed over before the connection broke, or all. */
async function send(socket: TLSSocket, bytes: Buffer, { sliceBytes, everyMs }: Script): Promise<number> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  socket.once('close', onClose);
  let sent = 0;
  while (sent < bytes.length && socket.writable) {
    const slice = bytes.subarray(sent, sent + sliceBytes);
    sent += slice.length;
    // Slice by slice: Node would join writes that wait. A socket that is destroyed calls back too.
    await new Promise((resolve) => socket.write(slice, resolve));
    const isLast = sent >= bytes.length;
    if (everyMs > 0 && !isLast)
      await delay(everyMs, undefined, { signal: gone.signal }).catch(() => undefined);
  }
  socket.off('close', onClose);
  return sent;
}

/** The tuples after the first `sent` bytes. */
function unsent(tuples: readonly Buffer[], sent: number): Buffer[] {
  let start = 0;
  return tuples.filter((tuple) => {
    const isUnsent = start >= sent;
    start += tuple.length;
    return isUnsent;
  });
}

/** Keeps silent until the reader has had enough. */
async function hang(socket: TLSSocket): Promise<void> {
  if (socket.closed) return;
  socket.once('end', () => socket.end());
  await closeOf(socket);
}

async function closeGently(socket: TLSSocket, lingerMs: number): Promise<void> {
  if (socket.closed) return;
  socket.end();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  await closeOf(socket);
  clearTimeout(timer);
}

/** Settles once the connection is gone. A reset is an end like any other: `once` of node:events would reject. */
async function closeOf(socket: TLSSocket): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
}
