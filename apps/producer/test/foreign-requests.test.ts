import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createTestDatabase, startProcess } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

// Keys are off on loopback: a web page that a browser on this machine shows must not act for whoever sits there.

let folder: string;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let producer: Awaited<ReturnType<typeof startProcess>>;
let ports: { port: number; adminPort: number };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-'));
  const app = 'topic: t, environment: sandbox, transport: http2, credential: { p12: none.p12 }';
  await writeFile(join(folder, 'pushfleet.yaml'), `apps: { shop: { ${app} } }`);
  database = await createTestDatabase(inject('databaseUrl'));
  producer = await startProcess({
    entry: new URL('../src/main.ts', import.meta.url),
    env: {
      REDIS_URL: inject('redisUrl'),
      DATABASE_URL: database.url,
      PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
      PUSHFLEET_REDIS_PREFIX: `${inject('redisPrefix')}-foreign`,
      PUSHFLEET_PORT: '0',
      PUSHFLEET_ADMIN_PORT: '0',
      PUSHFLEET_BOARD_KEY: 'a key for the board',
    },
  });
  ports = producer.ready as typeof ports;
}, 60_000);
afterAll(async () => {
  await producer.stop();
  await database.drop();
  await rm(folder, { recursive: true });
});

/** A request over a socket of its own to 127.0.0.1, as a browser makes it after a name was made to lead there. */
async function ask(port: number, method: string, path: string, headers: Record<string, string>) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const made = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, resolve);
    made.on('error', reject);
    made.end(method === 'POST' ? '{"reason":"by a web page"}' : undefined);
  });
  const type = answer.headers['content-type'] ?? '';
  const body = await text(answer);
  return { status: answer.statusCode, body: type.includes('json') ? JSON.parse(body) : body };
}

const json = { 'content-type': 'application/json' };
const own = (port: number) => `localhost:${port}`;

test.each<[name: string, headersOf: (port: number) => Record<string, string>]>([
  ['for a name that was made to lead here', (port) => ({ host: `evil.example:${port}` })],
  [
    'of a rebound name that says so',
    (port) => ({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` }),
  ],
  ['of another site', (port) => ({ host: own(port), 'sec-fetch-site': 'cross-site' })],
  ['of another port of this machine', (port) => ({ host: own(port), 'sec-fetch-site': 'same-site' })],
  ['of another origin', (port) => ({ host: own(port), origin: 'https://evil.example' })],
  ['of a page without an origin', (port) => ({ host: own(port), origin: 'null' })],
])('a request %s is refused everywhere', async (_, headersOf) => {
  const { port, adminPort } = ports;
  for (const [method, path] of [
    ['POST', '/v1/apps/shop/pause'],
    ['POST', '/v1/notifications'],
    ['GET', '/v1/apps'],
    ['GET', '/docs'],
    ['GET', '/openapi.json'],
    ['GET', '/nowhere'],
  ] as const) {
    const answer = await ask(port, method, path, { ...json, ...headersOf(port) });
    expect(answer, path).toMatchObject({ status: 403, body: { code: 'foreign-request' } });
  }
  for (const path of ['/metrics', '/readyz', '/board', '/board/api/queues']) {
    const answer = await ask(adminPort, 'GET', path, headersOf(adminPort));
    expect(answer, path).toMatchObject({ status: 403, body: { code: 'foreign-request' } });
  }
  const { body } = await ask(port, 'GET', '/v1/apps/shop', { host: own(port) });
  expect(body).toMatchObject({ state: 'running' });
});

test('the page itself, a shell and a scraper are served', async () => {
  const { port, adminPort } = ports;
  const typed = { host: own(port), 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' };
  expect((await ask(port, 'GET', '/docs', typed)).status).toBe(200);
  const same = { host: own(port), origin: `http://${own(port)}`, 'sec-fetch-site': 'same-origin' };
  expect((await ask(port, 'GET', '/v1/apps', same)).status).toBe(200);
  expect((await ask(port, 'GET', '/v1/apps', { host: `127.0.0.1:${port}` })).status).toBe(200);
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  expect((await ask(adminPort, 'GET', '/runbook', { host: own(adminPort), ...link })).status).toBe(200);
  expect((await ask(adminPort, 'GET', '/metrics', { host: own(adminPort), ...link })).status).toBe(403);
  expect((await ask(adminPort, 'GET', '/metrics', { host: `127.0.0.1:${adminPort}` })).status).toBe(200);
});
