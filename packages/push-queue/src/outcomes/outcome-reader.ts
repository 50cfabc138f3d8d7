import type { Redis } from 'ioredis';
import { batchTraceKey, defaultRedisPrefix, outcomeReaders, outcomesKey } from '../redis/keys.ts';
import { RedisLink } from '../redis/link.ts';
import { runScript } from '../redis/scripts.ts';
import { type FailedApp, parseEntries, type RawEntry, type ReadEntries } from './report-entry.ts';

// The far end of the workers' outcome reports: one stream per app, read by a consumer group. An entry stays until it
// is acknowledged, after its report is in Postgres, so every report is read at least once, in the order of its stream
// but for those that are taken over from a reader that died.

export interface OutcomeReaderOptions {
  /** A URL, or a client whose options are taken over. */
  readonly redis: string | Redis;
  readonly prefix?: string;
  /** Name of this reader in the group; no two that live at once may share one. */
  readonly consumer: string;
  /** For one call, milliseconds; 10,000 by default. */
  readonly timeoutMs?: number;
}

export interface OutcomeBacklog {
  readonly app: string;
  /** Reports that are not acknowledged. */
  readonly reports: number;
  /** When the oldest of them came, epoch milliseconds; undefined: there is none. */
  readonly oldestAtMs: number | undefined;
}

/** An entry that is in Postgres. */
export interface Acknowledged {
  readonly app: string;
  readonly entry: string;
  /** Absent: it could not be read. */
  readonly report?: { readonly batch: string };
}

type Page = Omit<ReadEntries, 'failed' | 'more'>;

interface Asked<T> {
  readonly answers: readonly T[];
  readonly failed: readonly FailedApp[];
}

/** For whoever has asked Postgres before the report was there, and asks Redis next, milliseconds. */
const appliedTraceMs = 60_000;

/** Of the reports of one app in one read. */
const readBytes = 1024 ** 2;

/** Every method throws PushQueueError. */
export class OutcomeReader {
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #consumer: string;
  readonly #timeoutMs: number;

  /** Opens a connection; never waits for it. */
  constructor(options: OutcomeReaderOptions) {
    this.#link = new RedisLink(options.redis, 'pushfleet:outcomes');
    this.#prefix = options.prefix ?? defaultRedisPrefix;
    this.#consumer = options.consumer;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
  }

  /**
   * Reports that no reader has had, at most `count` and about a MiB of each app; `more` tells where it was cut off. Does
   * not wait for more to come.
   */
  async read(apps: readonly string[], count: number): Promise<ReadEntries> {
    const more: string[] = [];
    const asked = await this.#ofEach(apps, async (client, app) => {
      const keys = { outcomes: outcomesKey(this.#prefix, app) };
      const args = { group: outcomeReaders, reader: this.#consumer, limit: count, maxBytes: readBytes };
      const answer = await this.#withGroup(client, app, () => runScript(client, 'read-reports', keys, args));
      const [entries, isCut] = answer as [RawEntry[], number];
      if (isCut === 1) more.push(app);
      return parseEntries(app, entries);
    });
    return { ...join(asked), more };
  }

  /**
   * Reports that this reader has had and not acknowledged, in order: after a call that failed, its answer may have got
   * lost on the way.
   */
  async readAgain(app: string): Promise<ReadEntries> {
    const pages: Page[] = [];
    const pageSize = 10;
    for (let after = '0'; ; ) {
      const { answers, failed } = await this.#ofEach([app], (client) =>
        this.#readFrom(client, app, after, pageSize),
      );
      const [page] = answers;
      const entries =
        page === undefined ? [] : [...page.reports, ...page.unreadable].map(({ entry }) => entry);
      if (page !== undefined) pages.push(page);
      if (entries.length === 0) return join({ answers: pages, failed });
      after = entries.reduce((last, entry) => (isLater(entry, last) ? entry : last), after);
    }
  }

  /** Takes over reports that a reader has had for longer than `idleMs` and not acknowledged: it died, or its answer got lost. */
  async takeOver(apps: readonly string[], idleMs: number, count: number): Promise<ReadEntries> {
    const asked = await this.#ofEach(apps, async (client, app) => {
      const [, entries] = await this.#withGroup(
        client,
        app,
        () =>
          client.xautoclaim(
            outcomesKey(this.#prefix, app),
            outcomeReaders,
            this.#consumer,
            idleMs,
            '0',
            'COUNT',
            count,
          ) as Promise<[cursor: string, entries: RawEntry[]]>,
      );
      return parseEntries(app, entries);
    });
    return join(asked);
  }

  /** Removes entries that are in Postgres; gives the apps where that failed. */
  async acknowledge(entries: readonly Acknowledged[]): Promise<readonly FailedApp[]> {
    const byApp = Map.groupBy(entries, ({ app }) => app);
    const { failed } = await this.#ofEach([...byApp.keys()], async (client, app) => {
      const ofApp = byApp.get(app)!;
      const batches = new Set(ofApp.flatMap(({ report }) => report?.batch ?? []));
      const endedBatches = [...batches].map((batch) => batchTraceKey(this.#prefix, app, batch));
      const keys = { outcomes: outcomesKey(this.#prefix, app), endedBatches };
      const entriesOfApp = ofApp.map(({ entry }) => entry);
      const args = { group: outcomeReaders, batchLifeMs: appliedTraceMs, entries: entriesOfApp };
      await runScript(client, 'forget-reports', keys, args);
    });
    return failed;
  }

  /** Of the apps that could be asked. */
  async backlog(apps: readonly string[]): Promise<readonly OutcomeBacklog[]> {
    const { answers } = await this.#ofEach(apps, async (client, app) => {
      const key = outcomesKey(this.#prefix, app);
      const [reports, [oldest]] = await Promise.all([
        client.xlen(key),
        client.xrange(key, '-', '+', 'COUNT', 1),
      ]);
      return { app, reports, oldestAtMs: oldest === undefined ? undefined : Number(oldest[0].split('-')[0]) };
    });
    return answers;
  }

  /** Forgets readers that have nothing left and have been silent for `idleMs`, this one excepted. */
  async forgetReaders(apps: readonly string[], idleMs: number): Promise<void> {
    await this.#ofEach(apps, async (client, app) => {
      const key = outcomesKey(this.#prefix, app);
      const readers = await this.#withGroup(
        client,
        app,
        () => client.xinfo('CONSUMERS', key, outcomeReaders) as Promise<unknown[][]>,
      );
      for (const reader of readers) {
        const fact = (name: string) => reader[reader.indexOf(name) + 1];
        const name = String(fact('name'));
        const isDead = Number(fact('pending')) === 0 && Number(fact('idle')) > idleMs;
        if (isDead && name !== this.#consumer) await client.xgroup('DELCONSUMER', key, outcomeReaders, name);
      }
    });
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #readFrom(client: Redis, app: string, from: string, count: number): Promise<Page> {
    const key = outcomesKey(this.#prefix, app);
    const answer = (await this.#withGroup(client, app, () =>
      client.xreadgroup('GROUP', outcomeReaders, this.#consumer, 'COUNT', count, 'STREAMS', key, from),
    )) as [key: string, entries: RawEntry[]][] | null;
    return parseEntries(app, answer?.[0]?.[1] ?? []);
  }

  /**
   * Asks for all apps at once; commands of one connection go out together. Throws only where none could be asked: in a
   * cluster, one node's trouble is that of its own apps.
   */
  async #ofEach<T>(
    apps: readonly string[],
    ask: (client: Redis, app: string) => Promise<T>,
  ): Promise<Asked<T>> {
    await this.#link.ready(this.#timeoutMs);
    const { client } = this.#link;
    return this.#link.answer(this.#timeoutMs, async () => {
      const settled = await Promise.allSettled(apps.map((app) => ask(client, app)));
      const answers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const failed = settled.flatMap((one, place) =>
        one.status === 'rejected' ? [{ app: apps[place]!, error: one.reason as Error }] : [],
      );
      if (failed.length > 0 && answers.length === 0) throw failed[0]!.error;
      return { answers, failed };
    });
  }

  /** The group begins with the stream's first entry; Redis may have lost it along with its data. */
  async #withGroup<T>(client: Redis, app: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!isNoGroup(error)) throw error;
    }
    const keys = { outcomes: outcomesKey(this.#prefix, app) };
    await runScript(client, 'create-group', keys, { group: outcomeReaders });
    return ask();
  }
}

/** Ids of entries are two numbers. */
function isLater(entry: string, other: string): boolean {
  const [ms = 0, sequence = 0] = entry.split('-').map(Number);
  const [otherMs = 0, otherSequence = 0] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && sequence > otherSequence);
}

function isNoGroup(error: unknown): boolean {
  return error instanceof Error && /^NOGROUP|no such key/.test(error.message);
}

function join({ answers, failed }: Asked<Page>): ReadEntries {
  return {
    reports: answers.flatMap(({ reports }) => reports),
    unreadable: answers.flatMap(({ unreadable }) => unreadable),
    failed,
    more: [],
  };
}
