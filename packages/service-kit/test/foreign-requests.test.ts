import { expect, test } from 'vitest';
import { foreignRequest, isLoopback } from '../src/index.ts';

test.each<[headers: Record<string, string>, hosts: string[] | undefined, wrong: string | undefined]>([
  [{ host: '127.0.0.1:8080' }, [], undefined],
  [{ host: 'localhost' }, [], undefined],
  [{ host: 'LOCALHOST:8080' }, [], undefined],
  [{ host: '[::1]:8080' }, [], undefined],
  [{ host: '127.9.8.7:8080' }, [], undefined],
  [{ host: 'evil.example:8080' }, [], 'it is for another host'],
  [{ host: 'localhost.evil.example' }, [], 'it is for another host'],
  [{ host: '127.0.0.1.evil.example' }, [], 'it is for another host'],
  [{ host: 'evil.localhost' }, [], 'it is for another host'],
  [{ host: '127.0.0.1@evil.example' }, [], 'it is for another host'],
  [{ host: '' }, [], 'it is for another host'],
  [{}, [], 'it is for another host'],
  [{ host: 'producer:8080' }, ['producer'], undefined],
  [{ host: 'evil.example' }, ['producer'], 'it is for another host'],
  [{ host: 'evil.example' }, undefined, undefined],
  [{ host: 'localhost:8080', 'sec-fetch-site': 'cross-site' }, [], 'it comes from another site'],
  [{ host: 'localhost:8080', 'sec-fetch-site': 'same-site' }, [], 'it comes from another site'],
  [{ host: 'localhost:8080', 'sec-fetch-site': 'x' }, undefined, 'it comes from another site'],
  [{ host: 'localhost:8080', 'sec-fetch-site': 'none' }, [], undefined],
  [{ host: 'localhost:8080', 'sec-fetch-site': 'same-origin' }, [], undefined],
  [{ host: 'localhost:8080', origin: 'http://localhost:8080' }, [], undefined],
  [{ host: 'localhost:8080', origin: 'https://localhost:8080' }, [], undefined],
  [{ host: 'localhost:8080', origin: 'http://localhost:3000' }, [], 'it comes from another origin'],
  [{ host: 'localhost:8080', origin: 'https://evil.example' }, [], 'it comes from another origin'],
  [{ host: 'api.example', origin: 'https://evil.example' }, undefined, 'it comes from another origin'],
  [{ host: 'localhost:8080', origin: 'null' }, [], 'it comes from another origin'],
  [{ host: 'localhost:8080', origin: '' }, [], 'it comes from another origin'],
])('%j for %j: %s', (headers, hosts, wrong) => {
  expect(foreignRequest(headers, hosts)).toBe(wrong);
});

test.each([
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['localhost', true],
  ['::1', true],
  ['[::1]', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.example', false],
  ['10.0.0.1', false],
])('%s is a loopback address: %s', (host, is) => {
  expect(isLoopback(host)).toBe(is);
});

test('a link of another page leads only to what may be linked, and reads nothing', () => {
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  const host = 'localhost:9100';
  expect(foreignRequest({ host, ...link }, [], true)).toBeUndefined();
  expect(foreignRequest({ host, ...link }, [])).toBe('it comes from another site');
  expect(foreignRequest({ host, ...link, 'sec-fetch-dest': 'iframe' }, [], true)).toBe(
    'it comes from another site',
  );
  expect(foreignRequest({ host, ...link, 'sec-fetch-mode': 'cors' }, [], true)).toBe(
    'it comes from another site',
  );
  expect(foreignRequest({ host: 'evil.example', ...link }, [], true)).toBe('it is for another host');
  expect(foreignRequest({ host, ...link, origin: 'null' }, [], true)).toBe('it comes from another site');
});
