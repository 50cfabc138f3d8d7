import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPushQueue } from '@pushfleet/push-queue';
import {
  createPrivateFolder,
  openFaultProxy,
  ProcessError,
  type StartedService,
  startService,
  writeFleetFile,
} from '@pushfleet/testkit';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { beforeAll, expect, inject, onTestFinished, test } from 'vitest';

let certificates: Awaited<ReturnType<typeof createTestCertificates>>;
beforeAll(async () => {
  certificates = await createTestCertificates();
});

/** A worker whose apps have these credentials, of files beside the configuration. */
async function startWith(
  credentials: Readonly<Record<string, object>>,
  redisUrl = inject('redisUrl'),
): Promise<StartedService> {
  const folder = await createPrivateFolder('worker-test');
  onTestFinished(async () => folder.remove());
  const files: Record<string, string | Buffer> = {
    'good.pem': certificates.production.bundlePem,
    'expired.pem': certificates.expired.bundlePem,
    'shop.p12': certificates.production.toPkcs12({ passphrase: 'right' }),
    wrong: 'wrong\n',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content);
  const app = {
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'binary',
    // Where nobody listens.
    gateway: { host: '127.0.0.1', port: 1 },
  };
  const worker = await startService('worker', {
    redisUrl,
    redisPrefix: `${inject('redisPrefix')}-start`,
    configPath: await writeFleetFile(
      folder.path,
      Object.fromEntries(Object.entries(credentials).map(([id, credential]) => [id, { ...app, credential }])),
    ),
  });
  onTestFinished(async () => void (await worker.kill()));
  return worker;
}

test('a worker without a credential that can be used does not start, and says what is wrong with each', async () => {
  const starting = startWith({
    locked: { p12: 'shop.p12', passphraseFile: 'wrong' },
    late: { cert: 'expired.pem' },
  });
  const error = await starting.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ProcessError);
  const { output } = error as ProcessError;
  expect(output).toContain('There are 2 problems with the configuration:');
  expect(output).toMatch(/apps\.locked\.credential: .*shop\.p12: The passphrase is wrong/);
  expect(output).toMatch(/apps\.late\.credential: The certificate ".*" expired at /);
  expect(output).not.toContain('    at ');
});

test('one app whose credential is not good is told of at the start, and does not keep the others from it', async () => {
  const worker = await startWith({ good: { cert: 'good.pem' }, late: { cert: 'expired.pem' } });
  const said = worker.process.lines.map(({ text }) => text).join('\n');
  expect(said).toMatch(
    /"app":"late","reason":"The certificate .* expired at .*"msg":"the credential cannot be used/,
  );
});

test('one app whose key file is missing is out, and the others are served', async () => {
  const worker = await startWith({ good: { cert: 'good.pem' }, gone: { cert: 'gone.pem' } });
  const said = worker.process.lines.map(({ text }) => text).join('\n');
  expect(said).toMatch(
    /"app":"gone","reason":"There is no file .*gone\.pem.*there is no earlier one: the app is not sent for"/,
  );
  expect(said).toMatch(/"msg":"ready"/);
});

test('a worker says once that the gateway of an app cannot be reached', async () => {
  const worker = await startWith({ good: { cert: 'good.pem' } });
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: `${inject('redisPrefix')}-start` });
  onTestFinished(() => queue.close());
  await queue.enqueue({ app: 'good', token: 'ab'.repeat(32), alert: 'x' });
  const line = await worker.process.waitForLine(
    ({ text }) => (text.includes('the gateway cannot be reached') ? text : undefined),
    { what: 'did not say it', timeoutMs: 60_000 },
  );
  expect(line).toContain('connect ECONNREFUSED');
});

test('a worker says when Redis goes away and when it is back', async () => {
  const url = new URL(inject('redisUrl'));
  const proxy = await openFaultProxy({ target: { port: Number(url.port) } });
  onTestFinished(() => proxy.close());
  url.hostname = proxy.host;
  url.port = String(proxy.port);
  const worker = await startWith({ good: { cert: 'good.pem' } }, url.href);
  const said = async (message: string) =>
    worker.process.waitForLine(({ text }) => text.includes(message) || undefined, {
      what: `did not say "${message}"`,
      timeoutMs: 60_000,
    });
  await proxy.disable();
  proxy.cut('reset');
  await said('this worker takes no push jobs until it can');
  await proxy.enable();
  await said('Redis answers again');
});
