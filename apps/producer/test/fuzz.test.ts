import { createTestDatabase, generateTokens } from '@pushfleet/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { arbitraryRequest, type FuzzedDocument } from './fuzz/arbitrary-requests.ts';
import { runFuzz } from './fuzz/run-fuzz.ts';
import { memoryLimitBytes, startLimitedProducer } from './fuzz/start-limited.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 3, seed: 29 });
const secret = 'qzSECRETqz';
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const jsonOf = (body: unknown) => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

/** Nothing of what requests hold is in the log. */
function checkLog(): void {
  const log = probe.log.join('');
  expect(log).not.toContain(secret);
  for (const token of tokens) expect(log).not.toContain(token);
}

test('whatever is asked, the answer is one that the document names, never a failure, and nothing leaks into logs', async () => {
  const document = probe.server.swagger() as unknown as FuzzedDocument;
  const requests = arbitraryRequest(document, { apps: ['shop', 'news'], tokens, secret });
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(requests, async ({ method, url, body }) => {
      const { status } = await probe.call(method, url, body === undefined ? {} : jsonOf(body));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(status).toBeLessThan(500);
    }),
    { numRuns: 1_500, seed: 41 },
  );
  // Of all kinds, or it says nothing.
  for (const status of [200, 202, 400, 404])
    expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(5);
  checkLog();
}, 120_000);

test('bodies of noise are answered in kind', async () => {
  const routes = [
    ['POST', '/v1/notifications', 'application/json'],
    ['PUT', `/v1/devices/${tokens[0]}`, 'application/json'],
    ['POST', '/v1/broadcasts', 'application/json'],
    ['POST', '/v1/devices/import?app=shop', 'application/x-ndjson'],
    ['POST', '/v1/devices/import?app=shop', 'text/csv'],
    ['POST', '/v1/uploads?app=shop', 'text/plain'],
  ] as const;
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json({ maxDepth: 3 }).map((text) => new TextEncoder().encode(text)),
    fc
      .constantFrom('[', '{"a":', 'nul', '"', '{"__proto__":{"app":"shop"}}', '{"constructor":1}')
      .map((text) => new TextEncoder().encode(text)),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), noise, async ([method, url, type], bytes) => {
      const { status } = await probe.call(method, url, {
        headers: { 'content-type': type },
        body: Buffer.from(bytes),
      });
      expect(status).toBeLessThan(500);
    }),
    { numRuns: 400, seed: 43 },
  );
  checkLog();
}, 60_000);

test('a producer in 512 MiB answers what is broken, slow or given up, and stays alive', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  onTestFinished(() => database.drop());
  const producer = await startLimitedProducer({
    redisUrl: inject('redisUrl'),
    redisPrefix: `${inject('redisPrefix')}-fuzz`,
    databaseUrl: database.url,
  });
  onTestFinished(() => producer.remove());
  const { faults } = await runFuzz({ port: producer.port, requests: 1_000, seed: 47 });
  expect(faults).toEqual([]);
  expect((await fetch(`http://127.0.0.1:${producer.adminPort}/livez`)).status).toBe(200);
  const { peakBytes, kills } = await producer.memory();
  expect(kills).toBe(0);
  expect(peakBytes).toBeLessThanOrEqual(memoryLimitBytes);
  expect(await producer.started.stop()).toMatchObject({ code: 0 });
}, 300_000);
