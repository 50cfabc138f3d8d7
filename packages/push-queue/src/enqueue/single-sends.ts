import type { Lane } from '../lane.ts';
import { createBatchId, type NotificationId, notificationId } from '../notification-id.ts';
import { type EncodedNotification, encodePushJob, formatPushJob } from '../push-job/encode.ts';
import { maxJobNotifications } from '../push-job/format.ts';
import { PushQueueError } from '../push-queue-error.ts';
import type { QuotaRefusal } from '../quota.ts';
import { idempotencyRecordKey } from '../redis/keys.ts';
import { distinctTraceparents } from '../traceparent.ts';
import { encodedBytes } from './encode.ts';
import { GroupCommit } from './group-commit.ts';
import { formatRecord, parseRecord, recallOf } from './idempotency-record.ts';
import type { JobWrite, JobWriter } from './job-writer.ts';

// Single sends of one app and lane: group commit makes one push job of those that arrive together. Those with an
// idempotency key are grouped apart, since their writes take one more round trip.

export interface SendResult {
  /** Names the notification, and its place in the batch it was written with. */
  readonly notificationId: NotificationId;
  /** The same id: a single send has no batch to itself. */
  readonly batchId: NotificationId;
  /** An earlier call with the same idempotency key was answered with this; nothing was enqueued now. */
  readonly replayed: boolean;
}

interface KeyedSend {
  readonly notification: EncodedNotification;
  readonly recordName: string;
  readonly fingerprint: string;
}

/** Counts the bytes that wait to be written, of all apps, and refuses more than there is room for. */
export class Backlog {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws `PushQueueError` `backpressure`. What is larger than all the room is let in when nothing else waits. */
  take(bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      throw new PushQueueError(
        'backpressure',
        `${this.#bytes} bytes wait to be written to Redis; ${this.#maxBytes} are allowed`,
      );
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export interface SingleSendsOptions {
  readonly app: string;
  readonly lane: Lane;
  readonly prefix: string;
  readonly writer: JobWriter;
  readonly backlog: Backlog;
  readonly idempotencyWindowMs: number;
  /** Called with the number of notifications of each push job that was written. */
  readonly onCommit: (notifications: number) => void;
}

/** Keyed ones go one by one: what a write finds of a key has to hold until it is done. */
const plainUnderWay = 2;

export class SingleSends {
  readonly #options: SingleSendsOptions;
  readonly #plain: GroupCommit<EncodedNotification, SendResult>;
  readonly #keyed: GroupCommit<KeyedSend, SendResult>;

  constructor(options: SingleSendsOptions) {
    this.#options = options;
    this.#plain = new GroupCommit<EncodedNotification, SendResult>(
      (sends) => this.#writePlain(sends),
      maxJobNotifications,
      plainUnderWay,
    );
    this.#keyed = new GroupCommit<KeyedSend, SendResult>(
      (sends) => this.#writeKeyed(sends),
      maxJobNotifications,
    );
  }

  /** Throws `PushQueueError` `backpressure` at once. Rejects with `PushQueueError`. */
  add(notification: EncodedNotification): Promise<SendResult> {
    this.#options.backlog.take(encodedBytes(notification));
    return this.#plain.add(notification);
  }

  /** As `add`. */
  addKeyed(notification: EncodedNotification, recordName: string, fingerprint: string): Promise<SendResult> {
    this.#options.backlog.take(encodedBytes(notification));
    return this.#keyed.add({ notification, recordName, fingerprint });
  }

  async idle(): Promise<void> {
    await Promise.all([this.#plain.idle(), this.#keyed.idle()]);
  }

  async #writePlain(notifications: readonly EncodedNotification[]): Promise<(SendResult | PushQueueError)[]> {
    try {
      let fitting = notifications.length;
      let refusal: PushQueueError | undefined;
      while (fitting > 0) {
        try {
          const results = await this.#writeJob(notifications.slice(0, fitting));
          return notifications.map((_, place) => results[place] ?? refusal!);
        } catch (error) {
          refusal = quotaRefusal(error);
          fitting = fittingOf(refusal.quota!, fitting);
        }
      }
      throw refusal!;
    } finally {
      this.#release(notifications);
    }
  }

  async #writeJob(notifications: readonly EncodedNotification[]): Promise<SendResult[]> {
    const batch = createBatchId();
    await this.#options.writer.write(this.#jobWrite(batch, notifications));
    this.#options.onCommit(notifications.length);
    return notifications.map((_, place) => sent(notificationId(batch, place + 1), false));
  }

  async #writeKeyed(sends: readonly KeyedSend[]): Promise<(SendResult | PushQueueError)[]> {
    try {
      let fitting = sends.length;
      let refusal: PushQueueError | undefined;
      for (;;) {
        try {
          return await this.#writeFresh(sends, fitting, refusal);
        } catch (error) {
          refusal = quotaRefusal(error);
          fitting = fittingOf(refusal.quota!, fitting);
        }
      }
    } finally {
      this.#release(sends.map(({ notification }) => notification));
    }
  }

  /** Writes those whose keys are new, at most so many, and answers all. @param refusal For those beyond. */
  async #writeFresh(
    sends: readonly KeyedSend[],
    most: number,
    refusal: PushQueueError | undefined,
  ): Promise<(SendResult | PushQueueError)[]> {
    const { app, prefix, writer, idempotencyWindowMs } = this.#options;
    const names = [...new Set(sends.map(({ recordName }) => recordName))];
    const recordKeys = names.map((name) => idempotencyRecordKey(prefix, app, name));
    let results: (SendResult | PushQueueError)[] = [];
    let written = 0;
    await writer.writeKeyed(recordKeys, (stored) => {
      const batch = createBatchId();
      const records = new Map(
        stored.flatMap((text, place) => (text === null ? [] : [[names[place]!, parseRecord(text)] as const])),
      );
      const fresh: KeyedSend[] = [];
      results = sends.map((send) => {
        const record = records.get(send.recordName);
        if (record !== undefined) {
          const earlier = recallOf(record, send);
          if (earlier instanceof PushQueueError) return earlier;
          return sent(notificationId(earlier.batch, earlier.firstIndex), true);
        }
        if (fresh.length >= most) return refusal!;
        fresh.push(send);
        const firstIndex = fresh.length;
        // The same key again in this group is a replay of this one.
        records.set(send.recordName, { batch, firstIndex, count: 1, fingerprint: send.fingerprint });
        return sent(notificationId(batch, firstIndex), false);
      });
      written = fresh.length;
      if (fresh.length === 0) return undefined;
      return {
        ...this.#jobWrite(
          batch,
          fresh.map(({ notification }) => notification),
        ),
        records: fresh.map(({ recordName, fingerprint }, place) => ({
          key: idempotencyRecordKey(prefix, app, recordName),
          value: formatRecord({ batch, firstIndex: place + 1, count: 1, fingerprint }),
        })),
        recordWindowMs: idempotencyWindowMs,
      };
    });
    if (written > 0) this.#options.onCommit(written);
    return results;
  }

  #release(notifications: readonly EncodedNotification[]): void {
    let bytes = 0;
    for (const notification of notifications) bytes += encodedBytes(notification);
    this.#options.backlog.release(bytes);
  }

  #jobWrite(batch: string, notifications: readonly EncodedNotification[]): JobWrite {
    const { app, lane } = this.#options;
    const head = {
      app,
      lane,
      batch,
      batchSize: notifications.length,
      enqueuedAtMs: Date.now(),
    };
    const traceparents = distinctTraceparents(notifications);
    return {
      app,
      lane,
      jobs: [formatPushJob(encodePushJob(head, { kind: 'rows', firstIndex: 1, notifications }))],
      ...(traceparents === undefined ? {} : { traceparents }),
    };
  }
}

/** Throws what is no refusal for the app's quota. */
function quotaRefusal(error: unknown): PushQueueError {
  if (error instanceof PushQueueError && error.quota !== undefined) return error;
  throw error;
}

/** Of so many sends that came together and do not fit: how many to try; always fewer. */
function fittingOf({ max, used, asked }: QuotaRefusal, sends: number): number {
  const share = Math.max(0, max - used) / asked;
  return Math.min(sends - 1, Math.floor(sends * share));
}

function sent(id: NotificationId, replayed: boolean): SendResult {
  return { notificationId: id, batchId: id, replayed };
}
