import { Worker } from 'node:worker_threads';

/** Tokens that begin with these bytes are watched; the next four bytes number them. */
export const watchedPrefix = 0xffff_ffff;

/** A watched token, hexadecimal. */
export function watchedToken(order: number): string {
  return `${watchedPrefix.toString(16)}${order.toString(16).padStart(8, '0')}${'00'.repeat(24)}`;
}

/** What the thread of the gateway says. */
export type ArrivalMessage =
  | { readonly kind: 'listening'; readonly port: number; readonly caPath: string }
  /** A watched notification has come in, at `atMs` of the epoch, with fractions. */
  | { readonly kind: 'arrived'; readonly order: number; readonly atMs: number }
  | { readonly kind: 'received'; readonly count: number };

export interface ArrivalGateway {
  readonly port: number;
  /** Path of the authority's certificate. */
  readonly caPath: string;
  /** All notifications, as of some milliseconds ago. */
  readonly received: number;
  /** Epoch milliseconds at which the watched notification came in; undefined while it has not. */
  arrivedMs(order: number): number | undefined;
  close(): Promise<void>;
}

/**
 * A binary gateway that notes when watched notifications come in, in a thread of its own: what it reads does not hold
 * up who sends.
 */
export async function openArrivalGateway(): Promise<ArrivalGateway> {
  const thread = new Worker(new URL('./arrival-thread.ts', import.meta.url));
  const arrivals = new Map<number, number>();
  let received = 0;
  const { promise, resolve, reject } = Promise.withResolvers<{ port: number; caPath: string }>();
  thread.on('error', reject);
  thread.on('message', (message: ArrivalMessage) => {
    if (message.kind === 'listening') resolve(message);
    else if (message.kind === 'arrived') arrivals.set(message.order, message.atMs);
    else received = message.count;
  });
  const { port, caPath } = await promise;
  return {
    port,
    caPath,
    get received() {
      return received;
    },
    arrivedMs: (order) => arrivals.get(order),
    async close() {
      const ended = new Promise((settle) => thread.once('exit', settle));
      thread.postMessage('close');
      await ended;
    },
  };
}
