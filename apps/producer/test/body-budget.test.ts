import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 31 });
let probe: ProducerProbe;
let port: number;
beforeAll(async () => {
  probe = await openProducer();
  await probe.server.listen({ port: 0, host: '127.0.0.1' });
  port = (probe.server.server.address() as AddressInfo).port;
});
afterAll(async () => probe.close());

/** A request that says how long its body will be, and does not send it. */
async function announce(bytes: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(
    `POST /v1/notifications HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
  );
  return socket;
}

async function statusOf(socket: Socket): Promise<string> {
  const [head] = (await once(socket, 'data')) as [Buffer];
  return head.toString('latin1').slice(9, 12);
}

const send = () =>
  fetch(`http://127.0.0.1:${port}/v1/notifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: 'shop', token, alert: 'x' }),
  });

test('large bodies that are under way are bounded together, and small ones go on', async () => {
  const megabyte = 1024 * 1024;
  const waiting = await Promise.all([1, 2, 3].map(() => announce(30 * megabyte)));
  // Two are in, and wait for their bodies; the third one, whichever it is, finds no room.
  expect(await Promise.race(waiting.map(statusOf))).toBe('503');
  expect((await send()).status).toBe(202);
  for (const socket of waiting) socket.destroy();
  // There is room again when those that waited have gone; what is answered 400 was read.
  await expect
    .poll(
      async () => {
        const socket = await announce(megabyte);
        socket.write(Buffer.alloc(megabyte, ' '));
        return statusOf(socket);
      },
      { timeout: 10_000 },
    )
    .toBe('400');
});
