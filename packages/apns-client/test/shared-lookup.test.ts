import { expect, test } from 'vitest';
import { createSharedLookup } from '../src/socket/shared-lookup.ts';

test('a name is looked up once at a time, and anew each time after', () => {
  const questions: { host: string; answer: (address: string) => void }[] = [];
  const lookup = createSharedLookup((host, _, callback) => {
    questions.push({ host, answer: (address) => callback(null, address, 4) });
  });
  const answers: string[] = [];
  const ask = (host: string, all = false) =>
    lookup(host, { all }, (_, address) => void answers.push(`${host} ${String(address)}`));
  ask('a.example');
  ask('a.example');
  ask('b.example');
  ask('a.example', true);
  expect(questions.map(({ host }) => host)).toEqual(['a.example', 'b.example', 'a.example']);
  questions[0]!.answer('10.0.0.1');
  expect(answers).toEqual(['a.example 10.0.0.1', 'a.example 10.0.0.1']);
  ask('a.example');
  expect(questions).toHaveLength(4);
});

test('a failure is everybody’s who waits', () => {
  let fail = (_: Error): void => undefined;
  const lookup = createSharedLookup((_, __, callback) => {
    fail = (error) => callback(error, '', 0);
  });
  const failures: unknown[] = [];
  for (let caller = 0; caller < 3; caller++) lookup('a.example', {}, (error) => void failures.push(error));
  fail(new Error('ENOTFOUND'));
  expect(failures).toEqual([new Error('ENOTFOUND'), new Error('ENOTFOUND'), new Error('ENOTFOUND')]);
});

test('connections are spread over the addresses of a name, of the family that comes first', () => {
  const answer = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fe80::1'].map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  const lookup = createSharedLookup((_, __, callback) => callback(null, answer, 0));
  const orders: string[][] = [];
  for (let connection = 0; connection < 4; connection++) {
    lookup('a.example', { all: true }, (_, addresses) => {
      orders.push((addresses as { address: string }[]).map(({ address }) => address.slice(-1)));
    });
  }
  expect(orders.map((order) => order.join(' '))).toEqual(['1 2 3 1', '2 3 1 1', '3 1 2 1', '1 2 3 1']);
});
