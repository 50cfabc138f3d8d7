import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { BodyBudget } from '../src/http/body-budget.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 31 });
const megabyte = 1024 * 1024;
let probe: ProducerProbe;
let port: number;
beforeAll(async () => {
  probe = await openProducer({ maxBodyBytes: 8 * megabyte, bodyTimeoutMs: 3_000 });
  await probe.server.listen({ port: 0, host: '127.0.0.1' });
  port = (probe.server.server.address() as AddressInfo).port;
});
afterAll(async () => probe.close());

/** A request that says how long its body will be, and sends a part of it. */
async function begin(bytes: number, sent: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(
    `POST /v1/notifications HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(sent, ' '));
  return socket;
}

async function statusOf(socket: Socket): Promise<string> {
  const [head] = (await once(socket, 'data')) as [Buffer];
  return head.toString('latin1').slice(9, 12);
}

const body = JSON.stringify({ app: 'shop', token, alert: 'x' });
const headers = { 'content-type': 'application/json' };
const send = () => fetch(`http://127.0.0.1:${port}/v1/notifications`, { method: 'POST', headers, body });

test('bodies under way are bounded by what has come of them, and small ones go on', async () => {
  const waiting = await Promise.all([1, 2, 3].map(() => begin(7 * megabyte, 0)));
  expect((await send()).status).toBe(202);
  for (const socket of waiting) socket.write(Buffer.alloc(3 * megabyte, ' '));
  // Two have room; the third one, whichever it is, has none.
  expect(await Promise.race(waiting.map(statusOf))).toBe('503');
  expect((await send()).status).toBe(202);
  for (const socket of waiting) socket.destroy();
  // There is room again when those that waited have gone; what is answered 400 was read.
  await expect
    .poll(async () => statusOf(await begin(7 * megabyte, 7 * megabyte)), { timeout: 10_000 })
    .toBe('400');
});

test('20 chunked requests at once are all served, since bodies of unknown length count as what they are', async () => {
  const chunked = () =>
    fetch(`http://127.0.0.1:${port}/v1/notifications`, {
      method: 'POST',
      headers,
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit);
  const answers = await Promise.all(Array.from({ length: 20 }, chunked));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202));
});

test('a body that does not come whole in time is answered 408, and its connection closes', async () => {
  const socket = await begin(1_000, 10);
  expect(await statusOf(socket)).toBe('408');
  await once(socket, 'close');
});

test('a caller has half of the room at most while others have some, and a single body of it what there is', () => {
  const budget = new BodyBudget(10 * megabyte);
  const first = budget.open('a');
  const second = budget.open('a');
  const other = budget.open('b');
  expect(other.take(megabyte)).toBe(true);
  expect(first.take(4 * megabyte)).toBe(true);
  expect(second.take(2 * megabyte)).toBe(false);
  expect(other.take(4 * megabyte)).toBe(true);
  first.release();
  first.release();
  second.release();
  const third = budget.open('a');
  expect(third.take(4 * megabyte)).toBe(true);
  for (const share of [third, other]) share.release();
  // Alone, whatever its size.
  expect(budget.open('c').take(50 * megabyte)).toBe(true);
});
