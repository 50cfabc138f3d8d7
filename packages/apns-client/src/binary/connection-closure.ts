import type { Span } from '../span.ts';
import type { ConnectionEnd } from '../transport.ts';
import type { StatusMeaning } from './status-policy.ts';

/** How a connection ended, and what becomes of everything that was in its window: each frame in exactly one place. */
export interface ConnectionClosure {
  readonly end: ConnectionEnd;
  /** For logs. */
  readonly detail: string;
  readonly answer?: ClosingAnswer;
  /** Taken by the gateway. All lists are in the order of writing. */
  readonly proved: readonly Span[];
  /** The frame that the error response names; undefined when it was settled before, or is none of ours. */
  readonly named?: Span;
  /** Discarded by the gateway: to be sent again, before anything newer. */
  readonly unprocessed: readonly Span[];
  /** Nobody can know. */
  readonly uncertain: readonly Span[];
  /** Frames that silence had settled, when the known-bad frame that asked for them was never answered. */
  readonly unconfirmed: number;
  /** Frames that were settled while the connection lived. */
  readonly settled: number;
  /** How long after the kernel had taken the named frame the error response came, milliseconds. */
  readonly lagMs?: number;
}

/** The error response that ended a connection. */
interface ClosingAnswer {
  readonly status: number;
  /** What the status says of the named frame. */
  readonly meaning: StatusMeaning;
  /** It named a frame of this connection, or answered its known-bad frame: the gateway understands us. */
  readonly understood: boolean;
  /** Notifications that silence had settled as accepted, and that were refused or discarded. */
  readonly wronglyPresumed: number;
}
