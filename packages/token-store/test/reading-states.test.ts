import { readFile } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import type { FeedbackReading } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

// docs/lifecycles/reading.md, executed: each row of its table is brought about.

const context = useTestStore();
const page = new URL('../../../docs/lifecycles/reading.md', import.meta.url);

interface Transition {
  readonly state: string;
  readonly event: string;
  readonly next: string;
}

async function readTable(): Promise<Transition[]> {
  const lines = (await readFile(page, 'utf8')).split('\n');
  const from = lines.findIndex((line) => line.startsWith('| state |')) + 2;
  const to = lines.findIndex((line, at) => at > from && !line.startsWith('|'));
  return lines.slice(from, to).map((line) => {
    const [, state, event, next] = line.split('|').map((cell) => cell.trim());
    return { state: state!, event: event!, next: next! };
  });
}

/** What the diagram draws, without its beginning. */
async function readArrows(): Promise<Transition[]> {
  const text = await readFile(page, 'utf8');
  return [...text.matchAll(/^ {2}(\S+) --> (\w+): (.+)$/gm)].map(([, state, next, event]) => ({
    state: state === '[*]' ? 'none' : state!,
    event: event!,
    next: next!,
  }));
}

const tuples = (count: number) =>
  Array.from({ length: count }, () => ({
    timestamp: Math.floor(Date.now() / 1_000) - 60,
    token: Buffer.from(newToken(), 'hex'),
  }));

/** One reading of an app of its own, and the other readers of that app. */
class Scene {
  readonly app = newApp();
  reading: FeedbackReading | undefined;
  readonly others: FeedbackReading[] = [];
  stored = 0;

  async open(): Promise<void> {
    this.reading = (await context.store.feedback.openReading(this.app))!;
    expect(this.reading).toBeDefined();
  }

  async openAnother(): Promise<void> {
    const other = await vi.waitUntil(async () => context.store.feedback.openReading(this.app), 10_000);
    this.others.push(other);
  }

  async store(): Promise<void> {
    await this.reading!.append(tuples(3));
    this.stored += 3;
  }

  async finish(): Promise<void> {
    await this.reading!.finish({ result: 'complete' });
  }

  async loseLock(): Promise<void> {
    await context.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1
         and pid in (select pid from pg_locks where locktype = 'advisory' and granted)`,
      [`pushfleet-feedback ${this.app}`],
    );
    await vi.waitFor(() => expect(this.reading!.hasLostLock).toBe(true), 10_000);
    // Postgres frees the lock when the session is gone.
    await vi.waitFor(async () => expect(await this.#isLocked()).toBe(false), 10_000);
  }

  async #isLocked(): Promise<boolean> {
    const rows = await context.sql(
      `select from pg_stat_activity a join pg_locks l on l.pid = a.pid and l.locktype = 'advisory' and l.granted
       where a.application_name = $1`,
      [`pushfleet-feedback ${this.app}`],
    );
    return rows.length > 0;
  }

  async state(): Promise<string> {
    if (this.reading === undefined) return 'none';
    const [row] = await context.sql('select result from feedback_readings where id = $1', [this.reading.id]);
    const result = row!.result as string | null;
    if (result === 'interrupted') return 'interrupted';
    if (result !== null) return 'ended';
    return this.reading.hasLostLock ? 'abandoned' : 'reading';
  }

  /** Tuples that were applied, of this reading. */
  async applied(): Promise<number> {
    while ((await context.store.feedback.applyNextChunk()) !== undefined);
    const [row] = await context.sql('select applied from feedback_readings where id = $1', [
      this.reading!.id,
    ]);
    return Number(row!.applied);
  }

  async close(): Promise<void> {
    await this.reading?.close();
    for (const other of this.others) await other.close();
  }
}

/** How a state is come to. */
const states: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  none: async () => undefined,
  reading: async (scene) => scene.open(),
  abandoned: async (scene) => {
    await scene.open();
    await scene.store();
    await scene.loseLock();
  },
  interrupted: async (scene) => {
    await states.abandoned!(scene);
    expect(await context.store.feedback.endInterrupted([scene.app])).toBe(1);
  },
  ended: async (scene) => {
    await scene.open();
    await scene.store();
    await scene.finish();
  },
};

const apply = async (scene: Scene) => {
  if (scene.stored === 0) await scene.store();
  expect(await scene.applied()).toBe(scene.stored);
};

/** How an event is brought about, and that its effect is there. */
const events: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  open: async (scene) => {
    await scene.open();
    expect(await context.store.feedback.openReading(scene.app)).toBeUndefined();
  },
  "open, the lock is another's": async (scene) => {
    await scene.openAnother();
    scene.reading = await context.store.feedback.openReading(scene.app);
  },
  'open, a reading has just begun': async (scene) => {
    await scene.openAnother();
    await scene.others[0]!.finish({ result: 'complete' });
    await scene.others[0]!.close();
    scene.reading = await vi.waitFor(async () =>
      context.store.feedback.openReading(scene.app, { unlessYoungerThanMs: 60_000 }),
    );
    // The lock is free.
    await scene.openAnother();
  },
  store: async (scene) => {
    await scene.store();
    expect(await scene.applied()).toBe(scene.stored);
  },
  apply,
  'lose the lock': async (scene) => scene.loseLock(),
  finish: async (scene) => {
    await scene.finish();
    const [row] = await context.sql('select result, tuples from feedback_readings where id = $1', [
      scene.reading!.id,
    ]);
    expect(row).toEqual({ result: 'complete', tuples: scene.stored });
  },
  'store, the lock is free': async (scene) => {
    await scene.store();
    expect(await context.store.feedback.openReading(scene.app)).toBeUndefined();
    expect(await scene.applied()).toBe(scene.stored);
  },
  "store, the lock is another's": async (scene) => {
    // Another program may hold the lock without a reading of its own.
    const session = await context.store.database.openSession('another');
    try {
      await session.query('select pg_advisory_lock($1, hashtext($2))', [0x50_46_46_42, scene.app]);
      await scene.store();
      expect(await scene.applied()).toBe(scene.stored);
      expect(await scene.state()).toBe('abandoned');
    } finally {
      await session.end();
    }
  },
  'another reader opens': async (scene) => scene.openAnother(),
  'a sweeper looks': async (scene) => {
    expect(await context.store.feedback.endInterrupted([scene.app])).toBe(1);
  },
};

test('every row of the table comes true, and the table and the diagram tell the same', async () => {
  const table = await readTable();
  expect(table.length).toBeGreaterThan(10);
  for (const { state, event, next } of table) {
    const scene = new Scene();
    try {
      await states[state]!(scene);
      expect(await scene.state(), `the beginning of ${state} × ${event}`).toBe(state);
      await events[event]!(scene);
      expect(await scene.state(), `${state} × ${event}`).toBe(next);
    } finally {
      await scene.close();
    }
  }
  // Applying changes no state of a reading; what begins nothing is not drawn.
  const drawn = table.filter(
    ({ state, event, next }) => event !== 'apply' && !(state === 'none' && next === 'none'),
  );
  const order = (rows: readonly Transition[]) =>
    rows.map(({ state, event, next }) => `${state} --> ${next}: ${event}`).sort();
  expect(order(await readArrows())).toEqual(order(drawn));
  expect(Object.keys(events).sort()).toEqual([...new Set(table.map(({ event }) => event))].sort());
});
