import type { BatchException } from '../batches.ts';

/** Which active devices of an app get a broadcast; all conditions must hold. Empty: every one. */
export interface Audience {
  readonly tags?: TagExpression;
  readonly locales?: readonly string[];
  readonly timeZones?: readonly string[];
  /** Id of an uploaded list of users. */
  readonly upload?: string;
}

/** A tag, or a combination of tags. */
export type TagExpression =
  | string
  | { readonly and: readonly TagExpression[] }
  | { readonly or: readonly TagExpression[] }
  | { readonly not: TagExpression };

/**
 * Where the fan-out stands. `cancelling`: it has ended, and what is queued is being cancelled, whoever has begun that.
 * `finished`: everything has been enqueued, which says nothing of its outcomes.
 */
export const broadcastStates = [
  'running',
  'paused',
  'cancelling',
  'cancelled',
  'finished',
  'failed',
] as const;
export type BroadcastState = (typeof broadcastStates)[number];

export interface Broadcast {
  readonly id: string;
  readonly app: string;
  readonly lane: string;
  /** What is sent and how, in the fields of the push queue. */
  readonly delivery: Readonly<Record<string, unknown>>;
  readonly audience: Audience;
  readonly state: BroadcastState;
  /** Why it failed. */
  readonly error: string | null;
  readonly createdAt: Date;
  /** Not before this time. */
  readonly startAt: Date;
  /** Over how long the fan-out is spread; null: as fast as it goes. */
  readonly spreadOverMs: number | null;
  readonly startedAt: Date | null;
  /** When the fan-out ended. */
  readonly finishedAt: Date | null;
  /** Devices of the audience, where they were counted. */
  readonly devices: number | null;
  /** Number of the next chunk, from 0. */
  readonly chunk: number;
  /** Devices up to this token have been enqueued; empty: none has. */
  readonly afterToken: Buffer;
  /** The next chunk reaches up to here, and may have been enqueued already. */
  readonly pendingToken: Buffer | null;
  /** Devices enqueued so far. */
  readonly enqueued: number;
  /** Trace context of the request, where it is sampled. */
  readonly traceparent: string | null;
}

export interface NewBroadcast {
  readonly id: string;
  readonly app: string;
  readonly lane: string;
  readonly delivery: Readonly<Record<string, unknown>>;
  readonly audience: Audience;
  readonly startAt: Date;
  readonly spreadOverMs: number | null;
  readonly keyed: { readonly key: string; readonly fingerprint: string } | undefined;
  readonly traceparent?: string | undefined;
}

/** Outcomes of what has been enqueued, as far as they have been reported. */
export interface BroadcastOutcomes {
  readonly acceptedProved: number;
  readonly acceptedPresumed: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
  /** When the last of them came about; null: none has been reported. */
  readonly lastSettledAt: Date | null;
}

/** A notification of a broadcast that was not simply accepted. */
export interface BroadcastException extends BatchException {
  readonly chunk: number;
  /** Batch of the chunk, in which `index` counts. */
  readonly batch: string;
}

/** Where a list of exceptions goes on: after this index of this chunk. */
export interface ExceptionPlace {
  readonly chunk: number;
  readonly index: number;
}

/** What has been enqueued of a chunk. */
export interface DoneChunk {
  readonly chunk: number;
  /** Where it ended. */
  readonly lastToken: Buffer;
  /** Undefined: nobody of the audience was in it. */
  readonly batch: string | undefined;
  readonly count: number;
  /** Where the next one will end; undefined: this was the last. */
  readonly nextPending: Buffer | undefined;
}
