import {
  clearAuditOutbox,
  countAuditOutbox,
  type Effect,
  type OutboxEntry,
  readAuditOutbox,
  recordChange,
} from '@pushfleet/push-queue';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { Logger } from '@pushfleet/service-kit';
import { type AuditChange, type AuditEntry, createAuditEntry } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { DatabaseLink } from '../database-link.ts';
import type { ProducerMetrics } from '../metrics.ts';
import { auditOrigin } from './audit-origin.ts';

// What is changed in Redis gets into the audit log by way of Redis; what is changed in Postgres is written there in the
// same transaction (`store.change`). Every producer takes on what it finds, also of the command line.

export interface AuditTrailOptions {
  readonly redis: StatusOptions;
  readonly database: DatabaseLink;
  readonly logger: Logger;
  readonly metrics: Pick<ProducerMetrics, 'auditEntriesWaiting'>;
  /** Between looks at what the command line and producers that died have left, milliseconds. */
  readonly pollMs?: number;
}

/** Entries that are taken on at once. */
const pageSize = 200;
/** How long somebody who reads the log waits for what is on its way, milliseconds. */
const patienceMs = 2_000;

/** Left out where it was not known. */
const text = z.string().nullable().default(null);
const fields = z.record(z.string(), z.unknown()).nullable().default(null);
/** A newer version may have written it: what it calls an action is kept. */
const entrySchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime().transform((at) => new Date(at)),
  actor: z.object({ kind: z.string(), id: text, name: text }),
  address: text,
  requestId: text,
  action: z.string(),
  app: text,
  target: text,
  before: fields,
  after: fields,
  result: z.string(),
});

export class AuditTrail {
  readonly #options: AuditTrailOptions;
  readonly #timer: NodeJS.Timeout;
  #draining: Promise<void> | undefined;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#drain(), options.pollMs ?? 2_000);
    this.#timer.unref();
  }

  /** Makes a change in Redis that is certain to be in the audit log. Throws what the effect throws, and `PushQueueError`. */
  async record<T>(
    request: FastifyRequest,
    change: Omit<AuditChange, 'after'>,
    effect: () => Promise<Effect<T>>,
  ): Promise<T> {
    const entry = createAuditEntry(auditOrigin(request), { ...change, after: null }, 'begun');
    try {
      return await recordChange(this.#options.redis, entry, effect);
    } finally {
      void this.#drain();
    }
  }

  /** Resolves when what was on its way has arrived, or cannot for now. Never rejects. */
  async settled(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    // What was put while a round ran may have come too late for it.
    void (this.#draining ?? Promise.resolve()).then(() => this.#drain()).then(resolve);
    await promise;
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.settled();
  }

  /** One round at a time. Never rejects. */
  #drain(): Promise<void> {
    this.#draining ??= this.#takeAll().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #takeAll(): Promise<void> {
    const { redis, database, logger, metrics } = this.#options;
    try {
      for (let more = true; more; ) {
        const found = await readAuditOutbox(redis, pageSize);
        const entries = found.flatMap((entry) => this.#parse(entry) ?? []);
        if (entries.length > 0) await database.store.auditLog.write(entries);
        await clearAuditOutbox(redis, found);
        more = found.length === pageSize;
      }
    } catch (err) {
      logger.debug({ err }, 'entries of the audit log wait in Redis: they could not be written to Postgres');
    }
    await countAuditOutbox(redis).then(metrics.auditEntriesWaiting, () => undefined);
  }

  #parse({ id, text: json }: OutboxEntry): AuditEntry | undefined {
    try {
      return entrySchema.parse(JSON.parse(json)) as AuditEntry;
    } catch {
      this.#options.logger.error({ entry: id }, 'an entry for the audit log cannot be read, and is dropped');
      return undefined;
    }
  }
}
