import { setTimeout as delay } from 'node:timers/promises';
import { generateTokens } from '@pushfleet/testkit';
import { readParameters } from '../run-actor.ts';

// A tenant that does its worst within its rights, of one kind, until it is ended.

export type GreedyLoad =
  | 'imports'
  | 'wrong imports'
  | 'uploads'
  | 'largest batches'
  | 'refused bodies'
  | 'sends to users'
  | 'look-ups'
  | 'event streams';

interface Parameters {
  readonly port: number;
  readonly app: string;
  readonly load: GreedyLoad;
}

const { port, app, load } = readParameters<Parameters>();
const tokens = generateTokens({ count: 5_000, seed: 5 });
const [token = ''] = tokens;

async function ask(method: string, path: string, body?: string, type = 'application/json'): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': type }, body }),
  }).catch(() => undefined);
  return (await answer?.text().catch(() => '')) ?? '';
}

const json = JSON.stringify;
const lines = (line: (place: number) => string, count: number) =>
  Array.from({ length: count }, (_, place) => line(place)).join('\n');

/** What is asked again and again, and by how many at once. */
async function prepare(): Promise<{ readonly callers: number; readonly ask: () => Promise<unknown> }> {
  switch (load) {
    case 'imports': {
      const file = lines(
        (place) => json({ token: tokens[place % tokens.length], userId: `user-${place}` }),
        50_000,
      );
      return {
        callers: 3,
        ask: () => ask('POST', `/v1/devices/import?app=${app}`, file, 'application/x-ndjson'),
      };
    }
    case 'wrong imports': {
      const file = lines(() => '{"token":"zz"}', 200_000);
      return {
        callers: 3,
        ask: () => ask('POST', `/v1/devices/import?app=${app}`, file, 'application/x-ndjson'),
      };
    }
    case 'uploads': {
      const file = lines((place) => `user-${place}`, 200_000);
      return { callers: 3, ask: () => ask('POST', `/v1/uploads?app=${app}`, file, 'text/plain') };
    }
    case 'largest batches': {
      const body = json({
        app,
        lane: 'bulk',
        notifications: tokens.map((each, place) => ({
          token: each,
          alert: `x${place}`,
          custom: { text: 'x'.repeat(1_530) },
        })),
      });
      return { callers: 2, ask: () => ask('POST', '/v1/notifications', body) };
    }
    case 'refused bodies': {
      const body = `{"app":"${app}","token":"${token}","custom":{"a":[${'{},'.repeat(900_000)}1]}}`;
      return { callers: 4, ask: () => ask('POST', '/v1/notifications', body) };
    }
    case 'sends to users': {
      const file = lines((place) => json({ token: tokens[place], userId: `user-${place % 50}` }), 5_000);
      await ask('POST', `/v1/devices/import?app=${app}`, file, 'application/x-ndjson');
      const userIds = Array.from({ length: 50 }, (_, place) => `user-${place}`);
      const body = json({ app, lane: 'bulk', defaults: { alert: 'x' }, userIds });
      return { callers: 4, ask: () => ask('POST', '/v1/notifications', body) };
    }
    case 'look-ups':
      return { callers: 32, ask: () => ask('GET', `/v1/devices/${token}?app=${app}`) };
    case 'event streams': {
      const sendAt = new Date(Date.now() + 86_400_000).toISOString();
      const body = json({ app, alert: 'x', audience: { all: true }, sendAt });
      const { broadcastId } = JSON.parse(await ask('POST', '/v1/broadcasts', body)) as {
        broadcastId: string;
      };
      // Each goes on until the process ends.
      return { callers: 500, ask: () => ask('GET', `/v1/broadcasts/${broadcastId}/events`) };
    }
    default:
      return load satisfies never;
  }
}

const { callers, ask: askOnce } = await prepare();
for (let caller = 0; caller < callers; caller++) {
  void (async () => {
    for (;;) {
      await askOnce();
      // A refusal in no time is not to be repeated in no time.
      await delay(1);
    }
  })();
}
process.stdout.write(`${json({ ready: true })}\n`);
