import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../src/index.ts';

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
    { token: 'a1b2', job: { payload: 'hello', passphrase: 'x' }, redisUrl: 'redis://:p@h' },
    'taken',
  );
  const line = JSON.parse(lines[0]!);
  expect(line).toMatchObject({
    token: '[redacted]',
    job: { payload: '[redacted]', passphrase: '[redacted]' },
    redisUrl: '[redacted]',
  });
});

test('for people a line is text', () => {
  const { lines, destination } = collect();
  createLogger({ service: 'worker', level: 'info', pretty: true, destination }).info('ready');
  expect(lines.join('')).toMatch(/INFO.*: .*ready/s);
});
