import { expect, test } from 'vitest';
import { createRedisClient, parseRedisUrl } from '../src/redis/client.ts';

test.each([
  ['redis://localhost', { kind: 'server', nodes: [{ host: 'localhost', port: 6379 }], db: 0, isTls: false }],
  [
    'rediss://u:p%40ss@r.example:6380/2',
    { kind: 'server', db: 2, isTls: true, login: { username: 'u', password: 'p@ss' } },
  ],
  [
    'redis+cluster://:secret@a:7000?nodes=b:7001,c',
    {
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 7001 },
        { host: 'c', port: 6379 },
      ],
      login: { password: 'secret' },
    },
  ],
  [
    'rediss+sentinel://[::1]:26380/main?nodes=s2',
    {
      kind: 'sentinel',
      name: 'main',
      nodes: [
        { host: '::1', port: 26380 },
        { host: 's2', port: 26379 },
      ],
      isTls: true,
    },
  ],
])('%s is understood', (url, expected) => {
  expect(parseRedisUrl(url)).toMatchObject(expected);
});

test.each([
  ['http://localhost', /must be a URL that begins with redis:\/\//],
  ['not a url', /must be a URL/],
  ['redis://a:1?nodes=b:2', /several nodes/],
  ['redis://a/x', /database that is no number/],
  ['redis+cluster://a/1', /only 0/],
  ['redis+sentinel://a', /must name what the sentinels watch over/],
  ['redis+cluster://a?nodes=b:x', /not host:port/],
  ['redis://a?maxRetries=3', /parameter "maxRetries"/],
])('%s is refused', (url, message) => {
  expect(() => parseRedisUrl(url)).toThrow(message);
});

test('a file that cannot be read is named, the password is not', () => {
  const connect = () =>
    createRedisClient('rediss://:secret@localhost?ca=/nowhere/ca.pem', { lazyConnect: true });
  expect(connect).toThrow(/as ca that cannot be read: .*\/nowhere\/ca\.pem/);
  expect(connect).not.toThrow(/secret/);
});
