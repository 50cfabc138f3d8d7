import type { Span } from './span.ts';
import type { TrackedRun } from './tracked-run.ts';
import type { ConnectionEnd } from './transport.ts';

/** How a connection ended, whichever protocol it speaks. */
export interface Closure<Run = TrackedRun> {
  readonly end: ConnectionEnd;
  /** For logs. */
  readonly detail: string;
  /** From its opening, milliseconds; 0 when it never opened. */
  readonly livedMs: number;
  /** Written, and their fate cannot be known. In the order of writing. */
  readonly uncertain: readonly Span<Run>[];
}

/** What a set of connections has to know of each. */
export interface Connection {
  /** It can carry notifications, or will once it is trusted. */
  readonly isOpen: boolean;
  /** Whether it would take a notification now. */
  readonly isWritable: boolean;
  /** Notifications written on it and not settled. */
  readonly inFlight: number;
}

/** The connections that write from one queue. */
export class Connections<Member extends Connection> {
  readonly #members = new Set<Member>();

  /** Connections, in whatever state. */
  get size(): number {
    return this.#members.size;
  }

  get open(): number {
    let open = 0;
    for (const { isOpen } of this.#members) if (isOpen) open++;
    return open;
  }

  add(connection: Member): void {
    this.#members.add(connection);
  }

  delete(connection: Member): void {
    this.#members.delete(connection);
  }

  /** Of those that take something now, the one with the least in flight. */
  leastLoaded(): Member | undefined {
    let best: Member | undefined;
    for (const connection of this.#members) {
      if (!connection.isWritable) continue;
      if (best === undefined || connection.inFlight < best.inFlight) best = connection;
    }
    return best;
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members.values();
  }
}

let connectionsMade = 0;

/** The id of a new connection: unique in this process. */
export function createConnectionId(host: string): string {
  return `${host}#${++connectionsMade}`;
}
