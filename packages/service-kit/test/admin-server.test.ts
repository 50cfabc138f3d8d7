import { Counter, Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { type AdminServer, openAdminServer, readBuildInfo, ServiceError } from '../src/index.ts';

const open: AdminServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function openServer(options: { port?: number; readiness?: () => string[] } = {}): Promise<AdminServer> {
  const register = new Registry();
  new Counter({ name: 'pushfleet_seen_total', help: 'Seen.', registers: [register] }).inc(3);
  const server = await openAdminServer({
    host: '127.0.0.1',
    port: options.port ?? 0,
    register,
    readiness: options.readiness ?? (() => []),
    details: () => ({ apps: { shop: 'runs' } }),
  });
  open.push(server);
  return server;
}

async function get(
  server: AdminServer,
  path: string,
): Promise<{ status: number; type: string; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return { status: answer.status, type: answer.headers.get('content-type')!, body: await answer.text() };
}

test('metrics are served as Prometheus reads them', async () => {
  const { status, type, body } = await get(await openServer(), '/metrics');
  expect(status).toBe(200);
  expect(type).toContain('text/plain');
  expect(body).toContain('pushfleet_seen_total 3');
});

test('a service that is not ready says why, and is alive', async () => {
  const reasons: string[] = ['Redis has not answered for 10 seconds'];
  const server = await openServer({ readiness: () => reasons });
  const unready = await get(server, '/readyz');
  expect(unready.status).toBe(503);
  expect(JSON.parse(unready.body)).toEqual({
    status: 'unavailable',
    reasons,
    build: readBuildInfo(),
    apps: { shop: 'runs' },
  });
  expect((await get(server, '/livez')).status).toBe(200);
  reasons.pop();
  expect((await get(server, '/readyz')).status).toBe(200);
});

test.each([
  ['/', 'there is no GET / here: the admin port serves /metrics, /livez and /readyz'],
  ['/healthz?full=1', 'there is no GET /healthz here: the admin port serves /metrics, /livez and /readyz'],
])('%s, which is no path of it, is answered as the HTTP API answers', async (path, detail) => {
  const { status, type, body } = await get(await openServer(), path);
  expect([status, type]).toEqual([404, expect.stringContaining('application/problem+json')]);
  expect(JSON.parse(body)).toEqual({
    type: 'urn:pushfleet:problem:no-route',
    title: 'Not Found',
    status: 404,
    code: 'no-route',
    detail,
    requestId: expect.any(String),
  });
});

test('a port that is taken is said with the variable that sets it', async () => {
  const { port } = await openServer();
  const error = await openServer({ port }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ServiceError);
  expect(error).toMatchObject({ code: 'port-taken' });
  expect((error as Error).message).toContain(`127.0.0.1:${port}`);
  expect((error as Error).message).toContain('PUSHFLEET_ADMIN_PORT');
});

test('an address that is not ours is said', async () => {
  const opening = openAdminServer({
    host: '192.0.2.1',
    port: 0,
    register: new Registry(),
    readiness: () => [],
  });
  await expect(opening).rejects.toMatchObject({ code: 'address-unavailable' });
});
