import { readFile, writeFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

test('the OpenAPI document is valid, and names every component that it refers to', async () => {
  const { body } = await probe.call('GET', '/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  const { valid, errors } = await new Validator().validate(structuredClone(body));
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  const names = Object.keys(body.components.schemas);
  const referred = [...JSON.stringify(body).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    ([, name]) => name!,
  );
  expect([...new Set(referred)].toSorted()).toEqual(names.toSorted());
  expect(names).toEqual(expect.arrayContaining(['SendOne', 'SendMany', 'SendAnswer', 'Batch', 'Problem']));
});

test('every operation says what it does and which problems it answers', async () => {
  const { body } = await probe.call('GET', '/openapi.json');
  for (const [path, operations] of Object.entries<Record<string, never>>(body.paths)) {
    for (const [method, operation] of Object.entries<{
      summary?: string;
      tags?: string[];
      responses: object;
    }>(operations)) {
      const what = `${method} ${path}`;
      expect(operation.summary, what).toMatch(/^[A-Z]/);
      expect(operation.tags, what).toHaveLength(1);
      expect(operation.responses, what).toHaveProperty('500');
      expect(JSON.stringify(operation.responses), what).not.toContain('Default Response');
    }
  }
});

test('the reference is there to be browsed, and loads nothing from elsewhere', async () => {
  const { status, text, headers } = await probe.call('GET', '/docs/');
  expect(status).toBe(200);
  expect(text).toContain('/openapi.json');
  expect(text).not.toMatch(/<script|\son\w+=|\ssrc=|\shref="https?:/);
  expect(text).toContain('<code>PUT /v1/devices/{token}</code>');
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/);
  // All that is served without a key.
  const open = [await probe.call('GET', '/docs'), await probe.call('GET', '/openapi.json')];
  for (const answer of open) {
    expect(answer).toMatchObject({ status: 200, headers: { 'x-content-type-options': 'nosniff' } });
    expect(answer.text.length).toBeLessThan(300_000);
  }
});

test('what needs no key may be asked for so often', async () => {
  const other = await openProducer();
  onTestFinished(() => other.close());
  const answers = await Promise.all(Array.from({ length: 400 }, () => other.call('GET', '/docs')));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatchObject({ body: { code: 'rate-limited' }, headers: { 'retry-after': '1' } });
  await expect.poll(async () => (await other.call('GET', '/docs')).status, { timeout: 20_000 }).toBe(200);
});

test('docs/openapi.json is this document (UPDATE_OPENAPI=1 writes it)', async () => {
  const { status, body } = await probe.call('GET', '/openapi.json');
  expect(status).toBe(200);
  // Which build serves it changes with every commit.
  expect(body.info['x-build']).toMatchObject({ commit: expect.any(String), node: process.version });
  delete body.info['x-build'];
  const file = new URL('../../../docs/openapi.json', import.meta.url);
  const text = `${JSON.stringify(body, null, 2)}\n`;
  if (process.env.UPDATE_OPENAPI === '1') await writeFile(file, text);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(body);
});
