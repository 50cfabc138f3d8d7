import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../src/index.ts';
import { openLog } from '../src/log/logger.ts';

function collect() {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { lines, destination };
}

test('a line is an object with the service, the level by name and the time as ISO 8601', () => {
  const { lines, destination } = collect();
  createLogger({ service: 'worker', level: 'info', destination }).warn({ app: 'shop' }, 'paused');
  expect(JSON.parse(lines[0]!)).toEqual({
    service: 'worker',
    level: 'warn',
    app: 'shop',
    msg: 'paused',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
});

test('secrets that slip in are not written', () => {
  const { lines, destination } = collect();
  const logger = createLogger({ service: 'worker', level: 'info', destination });
  logger.info(
    {
      token: 'a1b2',
      job: { payload: 'hello', passphrase: 'x', data: { tokens: ['a'], raw: Buffer.from('hello') } },
      redisUrl: 'redis://:p@h',
      bytes: Buffer.from('hello'),
    },
    'taken',
  );
  expect(JSON.parse(lines[0]!)).toMatchObject({
    token: '[redacted]',
    job: {
      payload: '[redacted]',
      passphrase: '[redacted]',
      data: { tokens: '[redacted]', raw: '[redacted]' },
    },
    redisUrl: '[redacted]',
    bytes: '[5 bytes]',
  });
});

test('of an error its type, code, message, stack and causes are written, and nothing else it carries', () => {
  const { lines, destination } = collect();
  const logger = createLogger({ service: 'worker', level: 'info', destination });
  const cause = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    command: { name: 'auth', args: ['canary'] },
  });
  const err = Object.assign(new TypeError('it failed', { cause }), {
    code: 'ERR_IT',
    detail: 'canary',
    parameters: ['canary'],
    request: { headers: { authorization: 'canary' } },
  });
  logger.warn({ err }, 'it fails');
  const line = JSON.parse(lines[0]!) as { err: Record<string, unknown> };
  expect(line.err).toEqual({
    type: 'TypeError',
    code: 'ERR_IT',
    message: 'it failed',
    stack: expect.stringMatching(/^ {4}at /),
    cause: { type: 'Error', message: cause.message, stack: expect.stringMatching(/^ {4}at /) },
  });
  expect(lines.join('')).not.toContain('canary');
});

test('an endless chain of causes and a message without end are bounded', () => {
  const { lines, destination } = collect();
  const err = new Error('x '.repeat(1_000_000));
  err.cause = err;
  createLogger({ service: 'worker', level: 'info', destination }).error({ err }, 'it fails');
  expect(lines[0]!.length).toBeLessThan(60_000);
});

test('of warnings that say the same ten come out, and one that says how many there were', () => {
  const { lines, destination } = collect();
  const { logger, flush } = openLog({ service: 'producer', level: 'info', destination });
  for (let request = 1; request <= 500; request++) {
    logger.warn({ requestId: `r-${request}`, code: 'redis-unavailable' }, 'request refused');
  }
  logger.child({ app: 'news' }).warn('request refused');
  logger.warn({ code: 'stopping' }, 'request refused');
  for (let count = 0; count < 20; count++) logger.info({ count }, 'it goes on');
  flush();
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.filter(({ code }) => code === 'redis-unavailable')).toHaveLength(11);
  expect(told.at(-1)).toMatchObject({ requestId: 'r-500', repeated: 490, msg: 'request refused' });
  expect(told.filter(({ msg }) => msg === 'it goes on')).toHaveLength(20);
  expect(told).toHaveLength(33);
});

test('for people a line is text', () => {
  const { lines, destination } = collect();
  createLogger({ service: 'worker', level: 'info', pretty: true, destination }).info('ready');
  expect(lines.join('')).toMatch(/INFO.*: .*ready/s);
});
