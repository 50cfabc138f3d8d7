import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Audience } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();

/** 25 devices of an app: every second one is even, the first ten speak German. */
async function registerDevices(): Promise<{ app: string; tokens: readonly string[] }> {
  const { devices } = context.store;
  const app = newApp();
  const tokens = Array.from({ length: 25 }, newToken).sort();
  await devices.registerMany(
    app,
    tokens.map((token, place) => ({
      token,
      userId: `user-${place}`,
      tags: place % 2 === 0 ? ['even'] : ['odd'],
      locale: place < 10 ? 'de' : 'fr',
    })),
  );
  await devices.register(newApp(), { token: newToken() });
  return { app, tokens };
}

/** The tokens of an audience, run by run. */
async function readRuns(app: string, audience: Audience, scan = 100, from?: string): Promise<string[][]> {
  const runs: string[][] = [];
  for (let after = Buffer.from(from ?? '', 'hex'); ; ) {
    const run = await context.store.broadcasts.readAudience({ app, audience, after, scan });
    expect(run.tokens).toHaveLength(run.count * 32);
    runs.push(
      Array.from({ length: run.count }, (_, place) =>
        run.tokens.subarray(place * 32, (place + 1) * 32).toString('hex'),
      ),
    );
    if (run.exhausted) return runs;
    after = Buffer.from(run.last!);
  }
}

test('an audience comes run by run in the order of tokens, filtered, and resumes anywhere', async () => {
  const { app, tokens } = await registerDevices();
  const all = await readRuns(app, {}, 10);
  expect(all.map((run) => run.length)).toEqual([10, 10, 5]);
  expect(all.flat()).toEqual(tokens);
  const some = await readRuns(app, { tags: { and: ['even', { not: 'odd' }] }, locales: ['fr'] }, 10);
  expect(some.map((run) => run.length)).toEqual([0, 5, 3]);
  expect((await readRuns(app, {}, 10, tokens[19])).flat()).toEqual(tokens.slice(20));
  expect((await readRuns(app, { tags: { or: ['odd', 'none'] } })).flat()).toHaveLength(12);
  expect((await readRuns(app, { timeZones: ['UTC'] })).flat()).toEqual([]);
});

test('an audience of uploaded users is theirs alone, and is counted as it is read', async () => {
  const { app, tokens } = await registerDevices();
  const { uploads, broadcasts } = context.store;
  const upload = randomUUID();
  async function* users(): AsyncGenerator<string[]> {
    yield ['user-3', 'user-4', 'nobody'];
    yield ['user-4'];
  }
  expect(await uploads.create(upload, app, users())).toBe(3);
  expect((await readRuns(app, { upload })).flat()).toEqual(tokens.slice(3, 5));
  expect((await readRuns(app, { upload, tags: 'odd' })).flat()).toEqual([tokens[3]]);
  expect(await broadcasts.countAudience(app, { upload, tags: 'odd' })).toBe(1);
  expect(await broadcasts.countAudience(app, {})).toBe(25);
});

test('a run that was begun before is read to the same end, without what went away meanwhile', async () => {
  const { app, tokens } = await registerDevices();
  const { broadcasts, devices } = context.store;
  const audience = {};
  const first = await broadcasts.readAudience({ app, audience, after: Buffer.alloc(0), scan: 10 });
  await devices.unregister(app, tokens[4] as Parameters<typeof devices.unregister>[1]);
  const again = await broadcasts.readAudience({
    ...{ app, audience, after: Buffer.alloc(0), scan: 100 },
    upTo: first.last,
  });
  expect({ count: again.count, last: again.last, exhausted: again.exhausted }).toEqual({
    count: 9,
    last: first.last,
    exhausted: false,
  });
});
