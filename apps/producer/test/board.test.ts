import { createPrivateFolder, type PrivateFolder, startService, writeFleetFile } from '@pushfleet/testkit';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readBoardKey } from '../src/board/board-key.ts';

const token = 'ab'.repeat(32);
/** As they may stand in what the board is given: the token as hex and base64, what people are told, a gateway's words. */
const secrets = [token, Buffer.from(token, 'hex').toString('base64').slice(0, 40), 'canary', btoa('canary')];
const jobId = (queues: unknown): string => /"id":"([^"]+)"/.exec(JSON.stringify(queues))![1]!;

/** Progress, log and failure of a push job as they could be, and a dead letter. */
async function settleSome(prefix: string, id: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  const exception = { index: 0, token, outcome: 'rejected', reason: `canary ${token}`, atMs: 1 };
  const progress = JSON.stringify({ v: 1, exceptions: [exception], more: 'canary' });
  const failed = { failedReason: `canary ${token}`, stacktrace: JSON.stringify([`canary ${token}`]) };
  const key = `${prefix}:{shop}:transactional:${id}`;
  await redis.hset(key, { progress, ...failed, returnvalue: JSON.stringify({ token }) });
  await redis.rpush(`${key}:logs`, `canary ${token}`);
  const letters = new Queue('dead-letters', { prefix: `${prefix}:{shop}`, connection: redis });
  await letters.add('poisoned', {
    v: 1,
    error: 'canary',
    raw: `canary ${token}`,
    reasons: { 0: 'canary it' },
    token,
  });
  await letters.close();
  redis.disconnect();
}

const key = 'a-key-of-some-length';
const login = (password: string) => `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`;
let folder: PrivateFolder;
let configPath: string;

beforeAll(async () => {
  folder = await createPrivateFolder('board-test');
  const app = {
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'http2',
    credential: { p8: 'none.p8', keyId: 'ABCDE12345', teamId: 'TEAM123456' },
  };
  configPath = await writeFleetFile(folder.path, { shop: app, news: app });
});
afterAll(() => folder.remove());

async function startProducer(env: Readonly<Record<string, string>>) {
  return startService('producer', {
    redisUrl: inject('redisUrl'),
    redisPrefix: `${inject('redisPrefix')}-board`,
    databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing',
    configPath,
    env,
  });
}

test('with a key there is a board at the admin port, for those who know the key, to look at only', async () => {
  const producer = await startProducer({ PUSHFLEET_BOARD_KEY: key });
  try {
    const admin = `http://127.0.0.1:${producer.adminPort}`;
    const send = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const body = JSON.stringify({ app: 'shop', token, alert: 'canary' });
    const sent = await fetch(`http://127.0.0.1:${producer.port}/v1/notifications`, { ...send, body });
    expect(sent.status).toBe(202);

    for (const path of ['/board', '/board/api/queues']) {
      const refused = await fetch(admin + path);
      expect({ path, status: refused.status }).toEqual({ path, status: 401 });
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic/);
      const wrong = await fetch(admin + path, { headers: { authorization: login('guessed-wrong-key') } });
      expect(wrong.status).toBe(401);
    }
    const authorization = login(key);
    const page = await fetch(`${admin}/board`, { headers: { authorization } });
    expect(await page.text()).toContain('Pushfleet');
    const answer = await fetch(`${admin}/board/api/queues?activeQueue=shop%2Ftransactional&status=waiting`, {
      headers: { authorization },
    });
    const { queues } = (await answer.json()) as { queues: { name: string; readOnlyMode: boolean }[] };
    expect(queues.map(({ name, readOnlyMode }) => [name, readOnlyMode])).toEqual(
      ['shop', 'news'].flatMap((app) =>
        ['transactional', 'bulk', 'dead-letters'].map((name) => [`${app}/${name}`, true]),
      ),
    );
    // The job is there, and whom it goes to and what it says are not.
    expect(JSON.stringify(queues)).toMatch(/"count":1,.*"tokens":"\[hidden\]".*"payloads":"\[hidden\]"/);
    await settleSome(`${inject('redisPrefix')}-board`, jobId(queues));
    const pages = [
      '?activeQueue=shop%2Ftransactional&status=latest',
      `/shop%2Ftransactional/${jobId(queues)}`,
      `/shop%2Ftransactional/${jobId(queues)}/logs`,
      `/shop%2Ftransactional/${jobId(queues)}/flow`,
      '?activeQueue=shop%2Fdead-letters&status=latest',
    ];
    for (const page of pages) {
      const shown = await fetch(`${admin}/board/api/queues${page}`, { headers: { authorization } });
      const text = await shown.text();
      for (const secret of secrets) expect(text, page).not.toContain(secret);
    }
    const removal = await fetch(`${admin}/board/api/queues/shop%2Ftransactional/clean/waiting`, {
      method: 'PUT',
      headers: { authorization },
    });
    expect(removal.status).toBe(405);
    // Metrics and health stay open.
    expect((await fetch(`${admin}/livez`)).status).toBe(200);
  } finally {
    expect(await producer.stop()).toMatchObject({ code: 0 });
  }
});

test('without a key there is no board', async () => {
  const producer = await startProducer({});
  try {
    expect((await fetch(`http://127.0.0.1:${producer.adminPort}/board`)).status).toBe(404);
  } finally {
    await producer.stop();
  }
});

test('a short key stops the start', async () => {
  await expect(readBoardKey({ PUSHFLEET_BOARD_KEY: 'short' })).rejects.toThrow(/at least 16 characters/);
});
