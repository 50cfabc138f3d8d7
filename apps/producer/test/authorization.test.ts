import { randomUUID } from 'node:crypto';
import { createBatchId } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { type ApiKeyScope, apiKeyScopes } from '@pushfleet/token-store';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { requireKeys } from '../src/auth/require-keys.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

// Every route of the running server, by every kind of key. What each route needs is written down here by hand.

const rights: Readonly<Record<string, readonly ApiKeyScope[]>> = {
  'POST /v1/notifications': ['send'],
  'GET /v1/notifications/{id}': ['read'],
  'DELETE /v1/notifications/{id}': ['cancel'],
  'GET /v1/batches/{id}': ['read'],
  'DELETE /v1/batches/{id}': ['cancel'],
  'GET /v1/batches/{id}/exceptions': ['exceptions'],
  'POST /v1/broadcasts': ['broadcast'],
  'GET /v1/broadcasts': ['read'],
  'GET /v1/broadcasts/{id}': ['read'],
  'DELETE /v1/broadcasts/{id}': ['cancel'],
  'GET /v1/broadcasts/{id}/events': ['read'],
  'GET /v1/broadcasts/{id}/exceptions': ['exceptions'],
  'POST /v1/broadcasts/{id}/pause': ['broadcast'],
  'POST /v1/broadcasts/{id}/resume': ['broadcast'],
  'POST /v1/uploads': ['broadcast'],
  'GET /v1/devices': ['devices', 'tokens'],
  'GET /v1/devices/{token}': ['devices'],
  'GET /v1/exceptions': ['exceptions'],
  'PUT /v1/devices/{token}': ['devices'],
  'DELETE /v1/devices/{token}': ['devices'],
  'POST /v1/devices/import': ['devices'],
  'GET /v1/apps': ['read'],
  'GET /v1/apps/{app}': ['read'],
  'POST /v1/apps/{app}/pause': ['admin'],
  'POST /v1/apps/{app}/resume': ['admin'],
  'GET /v1/apps/{app}/dead-letters': ['admin'],
  'GET /v1/apps/{app}/dead-letters/{id}': ['admin'],
  'DELETE /v1/apps/{app}/dead-letters/{id}': ['admin'],
  'POST /v1/apps/{app}/dead-letters/{id}/replay': ['admin'],
  'POST /v1/apps/{app}/dead-letters/replay': ['admin'],
  'POST /v1/apps/{app}/dead-letters/discard': ['admin'],
  'POST /v1/webhooks': ['admin'],
  'GET /v1/webhooks': ['admin'],
  'DELETE /v1/webhooks/{id}': ['admin'],
  'GET /v1/webhooks/{id}/deliveries': ['admin'],
  'GET /v1/audit': ['audit'],
  'POST /v1/webhooks/{id}/resend': ['admin'],
  'POST /v1/webhooks/{id}/test': ['admin'],
};
const routes = Object.keys(rights);

const tokens = generateTokens({ count: 4, seed: 31 });
/** What a route is asked for: of one app, or of none. */
interface Ids {
  readonly app: string;
  readonly token: string;
  readonly batch: string;
  readonly notification: string;
  readonly broadcast: string;
  readonly letter: string;
  readonly webhook: string;
}
/** As no id or app here is called. */
const unknown: Ids = {
  ...{ app: 'nowhere', token: tokens[3]!, letter: 'nothing-1' },
  ...{ batch: createBatchId(), notification: createBatchId().replace(/0$/, '1') },
  ...{ broadcast: randomUUID(), webhook: randomUUID() },
};

let probe: ProducerProbe;
let own: Ids;
let foreign: Ids;
let keyCount = 0;
const keys = new Map<string, string>();

async function makeKey(name: string, scopes: readonly ApiKeyScope[], apps: readonly string[] | null = null) {
  keyCount += 1;
  const { text } = await probe.database.store.apiKeys.create({ name: `${name}-${keyCount}`, apps, scopes });
  keys.set(name, text);
}

beforeAll(async () => {
  probe = await openProducer({ keys: { ratePerSecond: 0 } });
  const { apiKeys, database } = probe.database.store;
  for (const scope of apiKeyScopes) await makeKey(scope, [scope]);
  await makeKey('none', []);
  await makeKey('devices tokens', ['devices', 'tokens']);
  await makeKey('bound', ['admin'], ['shop']);
  for (const name of ['expired', 'revoked']) await makeKey(name, ['admin']);
  await apiKeys.revoke(keys.get('revoked')!.slice(3, 19));
  await database.query('update api_keys set expires_at = now() where id = $1', [
    keys.get('expired')!.slice(3, 19),
  ]);
  const ready = () => probe.call('GET', '/v1/apps', { headers: authorizationOf('bound') });
  await vi.waitFor(async () => expect((await ready()).status).toBe(200), { timeout: 20_000 });
  own = await fill('shop', tokens[0]!);
  foreign = await fill('news', tokens[1]!);
}, 60_000);
afterAll(async () => probe.close());

const authorizationOf = (name: string) => ({ authorization: `Bearer ${keys.get(name)}` });

/** One of everything for an app. */
async function fill(app: string, token: string): Promise<Ids> {
  const headers = authorizationOf('admin');
  const post = async (url: string, body: object) => (await probe.call('POST', url, { headers, body })).body;
  const inAnHour = Math.floor(Date.now() / 1_000) + 3_600;
  await probe.call('PUT', `/v1/devices/${token}`, { headers, body: { app, userId: 'anna' } });
  const notifications = [{ token }, { token }];
  const sent = await post('/v1/notifications', {
    app,
    defaults: { alert: 'x' },
    notifications,
    sendAt: inAnHour,
  });
  const { broadcastId } = await post('/v1/broadcasts', {
    ...{ app, alert: 'x', audience: { all: true }, sendAt: inAnHour },
  });
  const { webhookId } = await post('/v1/webhooks', { app, url: 'https://example.com/hook' });
  return {
    ...{ app, token, batch: sent.batchId, notification: sent.notificationIds[1] },
    ...{ broadcast: broadcastId, webhook: webhookId, letter: 'nothing-1' },
  };
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}

const operations = (): Readonly<Record<string, Readonly<Record<string, Operation>>>> =>
  probe.server.swagger().paths as never;

/** The body that a route takes, where it takes one. */
function bodyOf(route: string, { app, token }: Ids): object | undefined {
  if (route === 'POST /v1/notifications') return { app, token, alert: 'x' };
  if (route === 'POST /v1/broadcasts') return { app, alert: 'x', audience: { all: true }, dryRun: true };
  if (route === 'PUT /v1/devices/{token}') return { app };
  if (route === 'POST /v1/webhooks') return { app, url: 'https://example.com/hook' };
  if (route === 'POST /v1/webhooks/{id}/resend') return {};
  if (route === 'POST /v1/apps/{app}/pause') return { reason: 'x' };
  if (/resume$|\{id\}\/replay$/.test(route) && route.includes('{app}')) return {};
  return /dead-letters\/(replay|discard)$/.test(route) ? { reason: 'x' } : undefined;
}

function idOf(route: string, ids: Ids): string {
  if (route.includes('/batches')) return ids.batch;
  if (route.includes('/notifications')) return ids.notification;
  if (route.includes('/broadcasts')) return ids.broadcast;
  return route.includes('/webhooks') ? ids.webhook : ids.letter;
}

function ask(route: string, ids: Ids, key: string | undefined, change = (url: string) => url) {
  const [method = '', path = ''] = route.split(' ');
  const { parameters = [] } = operations()[path]![method.toLowerCase()]!;
  const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const search = new URLSearchParams(query.includes('app') ? { app: ids.app } : {});
  if (query.includes('userId')) search.set('userId', 'anna');
  const filled = path
    .replace('{app}', ids.app)
    .replace('{token}', ids.token)
    .replace('{id}', idOf(route, ids));
  const streamed = /import|uploads/.test(path);
  const body = streamed ? '' : bodyOf(route, ids);
  return probe.call(method as 'GET', `${change(filled)}?${search}`, {
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(streamed ? { 'content-type': 'application/x-ndjson' } : {}),
    },
    ...(body === undefined ? {} : { body }),
  });
}

test('every route of the running server stands in the table', () => {
  const running = Object.entries(operations()).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(running.toSorted()).toEqual(routes.toSorted());
  for (const [path, methods] of Object.entries(operations())) {
    for (const [method, operation] of Object.entries(methods)) {
      expect(operation).toMatchObject({ 'x-scopes': rights[`${method.toUpperCase()} ${path}`] });
    }
  }
});

test.each<[string, object]>([
  ['declares nothing', {}],
  ['is of the API and needs no key', { config: { scopes: [] } }],
])('a route that %s cannot be added', (_, options) => {
  const app = Fastify();
  requireKeys(app, undefined);
  expect(() => app.get('/v1/new', options, () => 'x')).toThrow('GET /v1/new does not declare');
});

describe.each(routes)('%s', (route) => {
  const needed = rights[route]!;

  test.each([
    ['no key', undefined],
    ['a word', 'x'],
    ['a forged secret', 'forged'],
    ['a key that has expired', 'expired'],
    ['a key that was revoked', 'revoked'],
  ])('answers 401 to %s', async (_, name) => {
    const key = name === 'forged' ? `${keys.get('admin')!.slice(0, -4)}AAAA` : (keys.get(name ?? '') ?? name);
    const answer = await ask(route, own, key);
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    if (key !== undefined && key.length > 1) expect(answer.text).not.toContain(key);
  });

  test('is open to its scopes and to admin, and to no other', async () => {
    const open: string[] = [];
    for (const name of ['none', ...apiKeyScopes, 'devices tokens']) {
      const { status, body } = await ask(route, unknown, keys.get(name));
      expect([401, 500], `${name}: ${status}`).not.toContain(status);
      if (status !== 403) open.push(name);
      else expect(body.code).toBe('forbidden');
    }
    const granted = (held: readonly string[]) => needed.every((scope) => held.includes(scope));
    const expected = apiKeyScopes.filter((scope) => scope === 'admin' || granted([scope]));
    expect(open).toEqual([...expected, ...(granted(['devices', 'tokens']) ? ['devices tokens'] : [])]);
  });

  test("answers what is another app's as what is not there", async () => {
    if (route === 'GET /v1/apps') {
      const { body } = await ask(route, own, keys.get('bound'));
      expect(body.apps.map(({ app }: { app: string }) => app)).toEqual(['shop']);
      return;
    }
    const told = (ids: Ids) => async () => {
      const { status, body } = await ask(route, ids, keys.get('bound'));
      const { requestId, ...rest } = body;
      const named = [ids.app, ids.token, idOf(route, ids)].reduce(
        (text, id) => text.replaceAll(id, '…'),
        JSON.stringify(rest),
      );
      return [status, named];
    };
    const theirs = await told(foreign)();
    expect(theirs).toEqual(await told(unknown)());
    expect(theirs[0]).toBe(404);
  });
});

test.each(routes.filter((route) => /\{(id|token)\}/.test(route) && !route.includes('dead-letters')))(
  '%s finds ids in capitals',
  async (route) => {
    // What is there is asked for to look at, so that nothing is taken from the next.
    if (!route.startsWith('GET') || route.includes('events')) return;
    const upper = (url: string) => url.replace(/[^/]{20,}/, (id) => id.toUpperCase());
    const answer = await ask(route, own, keys.get('bound'), upper);
    expect(answer.status).toBe(200);
  },
);

test('device tokens are whole in answers only for a key that may see them', async () => {
  const atMs = Date.now();
  const rejected = { index: 1, token: own.token, outcome: 'rejected', reason: 'x', atMs } as const;
  await probe.database.store.reports.apply([
    {
      ...{ v: 1, job: 'any' },
      ...{ app: 'shop', lane: 'transactional', batch: own.batch, batchSize: 2, firstIndex: 1, count: 2 },
      ...{ enqueuedAtMs: atMs, settledAtMs: atMs, resentUncertain: 0 },
      accepted: { proved: 1, presumed: 0 },
      exceptions: [rejected as never],
    },
  ]);
  await makeKey('exceptions tokens', ['exceptions', 'tokens']);
  const url = `/v1/batches/${own.batch}/exceptions`;
  await expect
    .poll(
      async () => (await probe.call('GET', url, { headers: authorizationOf('exceptions tokens') })).status,
    )
    .toBe(200);
  for (const format of ['json', 'csv', 'ndjson']) {
    const read = (name: string) =>
      probe.call('GET', `${url}?format=${format}`, { headers: authorizationOf(name) });
    expect((await read('exceptions tokens')).text).toContain(own.token);
    const { text } = await read('exceptions');
    expect(text).toContain(`${own.token.slice(0, 8)}…`);
    expect(text).not.toContain(own.token.slice(0, 12));
  }
});
