import { expect, test, vi } from 'vitest';
import { deadLetterKeys, defaultLetterRetention, totalsKey } from '../src/index.ts';
import { FleetFacts } from '../src/outcomes/index.ts';
import {
  discardDeadLetter,
  discardDeadLetters,
  letterCursorPattern,
  listDeadLetters,
  readDeadLetter,
  replayDeadLetter,
  replayDeadLetters,
} from '../src/status/index.ts';
import { allOf, deadLetter, openLetters, tokenOf } from './dead-letter-probe.ts';
import { probeQueue, type QueueProbe, tokenAt } from './queue-probe.ts';

/** Bytes of every letter that lies there, counted by looking at each. */
async function bytesThere({ redis, prefix }: QueueProbe): Promise<number> {
  const { index, base } = deadLetterKeys(prefix, 'shop');
  const ids = await redis.zrange(index, '0', '-1');
  const sizes = ids.map(async (id) => {
    const [data, meta] = await redis.hmget(base + id, 'data', 'meta');
    return id.length + Buffer.byteLength(data!) + Buffer.byteLength(meta!);
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Notifications that lie in letters, by reason, counted by reading each. */
async function reasonsThere({ redis, prefix }: QueueProbe): Promise<Record<string, number>> {
  const { index } = deadLetterKeys(prefix, 'shop');
  const counts: Record<string, number> = {};
  for (const id of await redis.zrange(index, '0', '-1')) {
    const { stored } = (await readDeadLetter({ redis, prefix }, 'shop', id))!;
    const reasons = stored.name === 'dead' ? Object.values(stored.letter.reasons) : ['poisoned'];
    for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

async function expectSums(probe: QueueProbe) {
  const page = await listDeadLetters(probe, 'shop', { limit: 1 });
  expect(page.bytes).toBe(await bytesThere(probe));
  expect(page.reasons).toEqual(await reasonsThere(probe));
  return page;
}

async function enqueuedTokens(probe: QueueProbe): Promise<string[]> {
  const jobs = [...(await probe.jobs('shop', 'bulk')), ...(await probe.jobs('shop'))];
  return jobs
    .flatMap((job) => Array.from({ length: job.count }, (_, place) => tokenAt(job, place)))
    .toSorted();
}

test('of very many reasons a list names some, whatever a gateway makes up', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  for (let letter = 0; letter < 60; letter++) {
    const reasons = Array.from({ length: 32 }, (_, at) => `made up ${letter}-${at}`);
    await letters.keep(`letter-${letter}`, deadLetter({ reasons }));
  }
  const page = await listDeadLetters(probe, 'shop', { limit: 1 });
  expect(page.total).toBe(60);
  expect(page.bytes).toBe(await bytesThere(probe));
  const named = Object.keys(page.reasons).length;
  expect(named).toBeGreaterThan(100);
  expect(named).toBeLessThan(1_500);
});

test('bytes and reasons are counted as letters come, are taken apart and go', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  await letters.keep('a', deadLetter({ alert: 'naïve ☃' }));
  await letters.keep('a', deadLetter());
  await letters.keep('b', { v: 1, error: 'no JSON', raw: '{"x', atMs: Date.now() });
  await letters.keep('c', deadLetter({ reasons: ['uncertain'] }));
  expect(await expectSums(probe)).toMatchObject({
    total: 3,
    reasons: { uncertain: 3, 'status 1': 1, poisoned: 1 },
    trimmed: { age: 0, bytes: 0, notifications: 0 },
  });
  await allOf(discardDeadLetters(probe, 'shop', { reason: 'status 1' }));
  expect(await expectSums(probe)).toMatchObject({ total: 3, reasons: { uncertain: 3, poisoned: 1 } });
  await discardDeadLetter(probe, 'shop', 'b');
  await replayDeadLetter(probe, probe.queue, 'shop', 'a');
  expect(await expectSums(probe)).toMatchObject({ total: 1, reasons: { uncertain: 1 } });
  await allOf(discardDeadLetters(probe, 'shop', {}));
  expect(await expectSums(probe)).toMatchObject({ total: 0, bytes: 0, reasons: {} });
});

test('letters go for their age and for room, the oldest first, and what goes is counted and told', async () => {
  const probe = probeQueue();
  const nowMs = Date.now();
  const one = deadLetter({ reasons: ['a', 'b'], atMs: nowMs });
  const first = await openLetters(probe);
  await first.letters.keep('x', one);
  const { bytes } = await listDeadLetters(probe, 'shop', { limit: 1 });
  await discardDeadLetter(probe, 'shop', 'x');
  const { letters, trimmed } = await openLetters(probe, { ageMs: 10_000, bytes: 3 * bytes });
  await letters.keep('1', { ...one, atMs: nowMs - 10_000 });
  await letters.keep('2', { ...one, atMs: nowMs - 9_000 });
  await letters.keep('3', { ...one, atMs: nowMs - 8_000 });
  expect(trimmed).toEqual([]);
  await letters.keep('4', { ...one, atMs: nowMs - 7_000 });
  await letters.keep('5', { ...one, atMs: nowMs + 1_500 });
  expect(trimmed).toEqual([
    { age: 0, bytes: 1, notifications: 2 },
    { age: 1, bytes: 0, notifications: 2 },
  ]);
  // Nothing comes: they go all the same.
  await letters.trim(nowMs + 2_500);
  expect(trimmed.at(-1)).toEqual({ age: 1, bytes: 0, notifications: 2 });
  const page = await expectSums(probe);
  expect(page).toMatchObject({ total: 2, trimmed: { age: 2, bytes: 1, notifications: 6 } });
  const facts = new FleetFacts({ redis: probe.redis, prefix: probe.prefix });
  expect((await facts.read(['shop']))[0]!.deadLetters).toEqual({
    count: 2,
    bytes: page.bytes,
    trimmed: page.trimmed,
  });
  await facts.close();
});

test('a list is read page by page, and each page is small however large the letters are', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  const many = Array.from({ length: 1_000 }, (_, place) => `${'R'.repeat(400)}${place}`);
  const atMs = Date.now();
  for (let at = 0; at < 25; at++) {
    // Some of one millisecond.
    await letters.keep(`letter-${at}`, deadLetter({ reasons: many, atMs: atMs + Math.floor(at / 4) }));
  }
  const spy = vi.spyOn(probe.redis, 'hmget');
  const seen: string[] = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await listDeadLetters(probe, 'shop', { limit: 4, cursor });
    expect(JSON.stringify(page.letters).length).toBeLessThan(4 * 20_000);
    expect(page.letters[0]).toMatchObject({ count: 1_000, others: 968 });
    seen.push(...page.letters.map(({ id }) => id));
    cursor = page.next;
    more = cursor !== undefined;
    if (cursor !== undefined) expect(cursor).toMatch(letterCursorPattern);
  }
  expect(spy).not.toHaveBeenCalled();
  expect(seen).toHaveLength(25);
  expect(new Set(seen).size).toBe(25);
  expect(seen[0]).toBe('letter-24');
  // A reason that its description does not name is found nevertheless.
  const discarded = await allOf(discardDeadLetters(probe, 'shop', { reason: many[999]! }));
  expect(discarded).toHaveLength(25);
  expect(discarded[0]).toMatchObject({ notifications: 1, isPart: true });
}, 60_000);

test('a list goes on where it was although its last letter has gone', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  for (const [at, id] of ['a', 'b', 'c', 'd'].entries())
    await letters.keep(id, deadLetter({ atMs: at + 1e12 }));
  const { next } = await listDeadLetters(probe, 'shop', { limit: 2 });
  await discardDeadLetter(probe, 'shop', 'c');
  const page = await listDeadLetters(probe, 'shop', { limit: 2, cursor: next });
  expect(page.letters.map(({ id }) => id)).toEqual(['b', 'a']);
});

test('a replay takes what its filter means, and leaves the rest', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe, { ...defaultLetterRetention, ageMs: 1e15 });
  await letters.keep('early', deadLetter({ atMs: 1_000 }));
  await letters.keep('bulk', deadLetter({ atMs: 2_000 }));
  await letters.keep('single', deadLetter({ atMs: 3_000, lane: 'transactional' }));
  await letters.keep('late', deadLetter({ atMs: 4_000 }));
  const filter = { reason: 'uncertain', lane: 'bulk', sinceMs: 2_000, untilMs: 3_999 } as const;
  const done = await allOf(replayDeadLetters(probe, probe.queue, 'shop', filter));
  expect(done).toEqual([{ letter: 'bulk', batchId: expect.any(String), notifications: 2, replayed: false }]);
  expect(await enqueuedTokens(probe)).toEqual([tokenOf(1), tokenOf(3)]);
  const page = await expectSums(probe);
  expect(page).toMatchObject({ total: 4, reasons: { uncertain: 6, 'status 1': 4 } });
  expect((await readDeadLetter(probe, 'shop', 'bulk'))!.stored.letter).toMatchObject({
    reasons: { 2: 'status 1' },
    deaths: { 2: { status: 1 } },
    job: { count: 1, index: [2] },
  });
});

test('a replay keeps its rate', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  await letters.keep('a', deadLetter({ reasons: Array.from({ length: 250 }, () => 'x') }));
  await letters.keep('b', deadLetter({ reasons: ['x', 'x'] }));
  const pauses: number[] = [];
  let nowMs = 0;
  const now = () => (nowMs += 50);
  const pause = async (ms: number) => void pauses.push(ms);
  const replay = replayDeadLetters(probe, probe.queue, 'shop', {}, { rate: 100, pause, now });
  const done = await allOf(replay);
  expect(done.map((part) => 'notifications' in part && part.notifications)).toEqual([2, 98, 100, 52]);
  expect(pauses).toEqual([950, 950]);
  expect((await enqueuedTokens(probe)).length).toBe(252);
});

test('wherever a replay is killed, and with whatever filter it is asked for again, each is enqueued once', async () => {
  const filters = [{}, { reason: 'uncertain' }, { reason: 'status 1' }];
  for (const first of filters) {
    for (const second of filters) {
      for (const killedAt of ['before', 'after'] as const) {
        const probe = probeQueue();
        const { letters } = await openLetters(probe);
        await letters.keep('a', deadLetter());
        const dying = probe.another();
        const enqueueBatch = dying.enqueueBatch.bind(dying);
        dying.enqueueBatch = async (...args) => {
          if (killedAt === 'after') await enqueueBatch(...args);
          throw new Error('killed');
        };
        const killed = allOf(replayDeadLetters(probe, dying, 'shop', first));
        await expect(killed).rejects.toThrow('killed');
        for (const filter of [second, {}]) {
          await allOf(replayDeadLetters(probe, probe.queue, 'shop', filter));
        }
        expect(await enqueuedTokens(probe)).toEqual([tokenOf(1), tokenOf(2), tokenOf(3)]);
        expect(await expectSums(probe)).toMatchObject({ total: 0, bytes: 0 });
      }
    }
  }
});

test('replays side by side enqueue each notification once', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  for (let at = 0; at < 10; at++) await letters.keep(`letter-${at}`, deadLetter());
  const filters = [{}, { reason: 'uncertain' }, { reason: 'status 1' }, {}];
  const replays = filters.map((filter) => allOf(replayDeadLetters(probe, probe.another(), 'shop', filter)));
  await Promise.all(replays);
  expect(Number(await probe.redis.hget(totalsKey(probe.prefix, 'shop'), 'enqueued:bulk'))).toBe(30);
  expect(await expectSums(probe)).toMatchObject({ total: 0, bytes: 0 });
});

test('a letter that the queue does not take any more is told, and does not hold up the others', async () => {
  const probe = probeQueue();
  const { letters } = await openLetters(probe);
  await letters.keep('small', deadLetter({ atMs: Date.now() - 1 }));
  await letters.keep('large', deadLetter({ alert: 'a'.repeat(3_000) }));
  const binary = probe.another({
    apps: { shop: { transport: 'binary', commandVersion: 1, topic: 't' } as never },
  });
  const done = await allOf(replayDeadLetters(probe, binary, 'shop', {}));
  expect(done).toMatchObject([
    { letter: 'large', error: expect.stringMatching(/payload/) },
    { letter: 'small' },
  ]);
  expect(await expectSums(probe)).toMatchObject({ total: 1 });
});
