import { expect, test, vi } from 'vitest';
import {
  type AppTrouble,
  agreedPause,
  beatWorker,
  type FleetWorker,
  pauseApp,
  readPauses,
  readWorkers,
  removeWorker,
  resumeApp,
  type TroubleKind,
} from '../src/index.ts';
import { Doorbell } from '../src/worker/index.ts';
import { probeQueue } from './queue-probe.ts';

function trouble(about: TroubleKind, change: Partial<AppTrouble> = {}): AppTrouble {
  return { about, reason: 'refused', sinceMs: 10, checkedAtMs: 10, untilMs: 20, isHold: false, ...change };
}

function worker(id: string, change: Partial<FleetWorker> = {}): FleetWorker {
  return {
    ...{ id, host: 'one', pid: 1, version: '0.1.0', sinceMs: 1, apps: ['shop'], troubles: {}, slowed: {} },
    ...change,
  };
}

const says = (id: string, said: AppTrouble) => worker(id, { troubles: { shop: said } });
const [healthy, stale] = [worker('healthy'), says('stale', trouble('credential'))];
const [astray, topicless] = [says('astray', trouble('worker')), says('topicless', trouble('topic'))];
const elsewhere = worker('elsewhere', { apps: ['news'] });

test.each([
  ['nobody is there', [], undefined],
  ['one worker says it', [stale], 'credential'],
  ['one says it of the topic', [topicless], 'topic'],
  ['one says it, and another can send', [stale, healthy], undefined],
  ['one can send, and another has trouble of its own', [astray, healthy], undefined],
  ['all have trouble of their own', [astray, astray], undefined],
  ['all say it', [stale, says('late', trouble('credential', { sinceMs: 11 }))], 'credential'],
  ['all say it of something else', [says('late', trouble('topic', { sinceMs: 11 })), stale], 'credential'],
  ['one says it, and who has trouble of its own could not ask', [stale, astray], 'credential'],
  ['one says it, and another serves other apps', [stale, elsewhere], 'credential'],
  ['only others serve it', [elsewhere], undefined],
] as const)('a pause of the fleet, where %s', (_, workers, cause) => {
  expect(agreedPause('shop', workers)?.cause).toBe(cause);
});

test('of several holds the first to end is the one that counts', () => {
  const first = says('first', trouble('credential', { isHold: true, untilMs: 1_200 }));
  const restarted = says('restarted', trouble('credential', { sinceMs: 500, isHold: true, untilMs: 1_700 }));
  expect(agreedPause('shop', [restarted, first])).toMatchObject({ sinceMs: 10, untilMs: 1_200 });
  expect(agreedPause('shop', [stale])).not.toHaveProperty('untilMs');
});

test('a worker is listed with what it says until it stops, or has been silent for too long', async () => {
  const control = probeQueue();
  expect(await readWorkers(control)).toEqual([]);
  await beatWorker(control, stale, 60_000);
  await beatWorker(control, healthy, 60_000);
  expect(await readWorkers(control)).toEqual([healthy, stale]);
  await beatWorker(control, healthy, 30);
  await vi.waitFor(async () => expect(await readWorkers(control)).toEqual([stale]));
  await beatWorker(control, stale, 60_000);
  expect(await control.redis.zcard(`${control.prefix}:{:workers}`)).toBe(1);
  await removeWorker(control, 'stale');
  expect(await readWorkers(control)).toEqual([]);
});

test('a hold keeps its end until it has ended; then another may follow', async () => {
  const control = probeQueue();
  const hold = (sinceMs: number, untilMs: number) =>
    pauseApp(control, 'shop', { cause: 'credential', reason: 'too "many"', sinceMs, untilMs });
  const future = Date.now() + 60_000;
  await hold(1_764_523_361_123, future);
  await hold(1_764_523_999_999, future + 60_000);
  expect(await readPauses(control, 'shop')).toMatchObject([{ sinceMs: 1_764_523_361_123, untilMs: future }]);
  await control.redis.hset(
    `${control.prefix}:{shop}:pauses`,
    'credential',
    JSON.stringify({ reason: 'too "many"', sinceMs: 1_764_523_361_123, untilMs: 1 }),
  );
  await hold(1_764_523_999_999, future);
  expect(await readPauses(control, 'shop')).toEqual([
    { cause: 'credential', reason: 'too "many"', sinceMs: 1_764_523_361_123, untilMs: future },
  ]);
});

test('a resume has the workers in trouble ask the gateway, and says what they were told', async () => {
  const control = probeQueue();
  await pauseApp(control, 'shop', { cause: 'credential', reason: 'refused', sinceMs: 1 });
  await beatWorker(control, stale, 60_000);
  await beatWorker(control, topicless, 60_000);
  const listening = Promise.withResolvers<void>();
  const told = trouble('credential', { checkedAtMs: 99, reason: 'refused again' });
  const doorbell = new Doorbell({
    redis: control.redis,
    prefix: control.prefix,
    onListening: listening.resolve,
    onRing: (app, what) => {
      if (app !== 'shop' || what !== 'resume') return;
      void beatWorker(control, { ...stale, troubles: { shop: told } }, 60_000);
      void beatWorker(control, worker('topicless'), 60_000);
    },
  });
  await listening.promise;
  expect(await resumeApp(control, 'shop', ['credential'], 5_000)).toEqual({
    pauses: [],
    troubles: [{ worker: 'stale', host: 'one', ...told }],
    unheard: 0,
  });
  doorbell.close();
  expect(await resumeApp(control, 'shop', ['credential'], 10)).toMatchObject({ unheard: 1 });
});
