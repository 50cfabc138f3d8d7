import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createPrivateFolder,
  findFreePort,
  findRedisProgram,
  openRedisProgram,
  type PrivateFolder,
  type RestartableServer,
} from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPushQueue, createRedisClient } from '../src/index.ts';

// A redis-server that speaks TLS and wants a certificate of its clients. Where none is on the PATH, or it was built
// without TLS, there is nothing to try.

const token = 'ab'.repeat(32);
let folder: PrivateFolder;
let tlsPort: number;
let server: RestartableServer | undefined;
let url: (parameters: Readonly<Record<string, string>>) => string;

beforeAll(async () => {
  const program = await findRedisProgram();
  if (program === undefined) return;
  folder = await createPrivateFolder('redis-tls');
  const path = (name: string) => join(folder.path, name);
  const authority = await TestAuthority.create();
  const identity = await authority.issueServerCertificate({ hosts: ['localhost'] });
  const client = await authority.issueApnsCertificate({ topic: 'com.example.shop' });
  await writeFile(path('ca.pem'), authority.certificatePem);
  await writeFile(path('cert.pem'), identity.certificatePem);
  await writeFile(path('key.pem'), identity.privateKeyPem);
  await writeFile(path('client.pem'), client.certificatePem);
  await writeFile(path('client-key.pem'), client.privateKeyPem);
  tlsPort = await findFreePort();
  try {
    server = await openRedisProgram(program, {
      configuration: [
        `tls-port ${tlsPort}`,
        `tls-cert-file ${path('cert.pem')}`,
        `tls-key-file ${path('key.pem')}`,
        `tls-ca-cert-file ${path('ca.pem')}`,
        'tls-auth-clients yes',
      ],
    });
  } catch {
    return;
  }
  const { password } = new URL(server.url);
  url = (parameters) => {
    const query = new URLSearchParams();
    for (const [name, file] of Object.entries(parameters)) query.set(name, path(file));
    return `rediss://:${password}@localhost:${tlsPort}?${query.toString()}`;
  };
});
afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

const send = async (redis: string) => {
  const queue = createPushQueue({ redis, prefix: 'pushfleet-test-tls', writeTimeoutMs: 1_500 });
  try {
    return await queue.enqueue({ app: 'shop', token, alert: 'over TLS' });
  } finally {
    await queue.close();
  }
};

test('sends go over TLS, with a certificate of our own', async ({ skip }) => {
  if (server === undefined) return skip();
  const result = await send(url({ ca: 'ca.pem', cert: 'client.pem', key: 'client-key.pem' }));
  expect(result.notificationId).toMatch(/^[0-9a-f-]{36}$/);
});

test('what a connection says after it failed ends nothing', async ({ skip }) => {
  if (server === undefined) return skip();
  const client = createRedisClient(url({ ca: 'ca.pem', cert: 'client.pem', key: 'client-key.pem' })) as Redis;
  const errors: Error[] = [];
  client.on('error', (error: Error) => errors.push(error));
  await once(client, 'ready');
  const { stream } = client;
  // As Node.js does it: first the write that fails, then an alert that was read behind it.
  stream.emit('error', new Error('write EPIPE'));
  stream.emit('error', new Error('SSL alert number 116'));
  stream.destroy();
  await once(client, 'ready');
  expect(errors.map(({ message }) => message)).toEqual(['write EPIPE']);
  client.disconnect();
});

test.each([
  ['whose authority is unknown', { cert: 'client.pem', key: 'client-key.pem' }],
  ['that gets no certificate of ours', { ca: 'ca.pem' }],
])('a server %s is not sent to', async (_, parameters) => {
  if (server === undefined) return;
  await expect(send(url(parameters as Record<string, string>))).rejects.toMatchObject({
    code: 'redis-unavailable',
  });
});
