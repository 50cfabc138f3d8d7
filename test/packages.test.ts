import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The packages that others may install, as they would get them: built, packed, unpacked elsewhere.

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const scope = '@pushfleet';
const names = ['apns-wire', 'push-queue', 'client'] as const;
let folder: string;
const tarballs = new Map<string, string>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pushfleet-packages-'));
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@pushfleet'), { recursive: true });
  for (const name of names) {
    const workspace = join(root, 'packages', name);
    await run(process.execPath, [join(root, 'scripts/build-package.ts')], { cwd: workspace });
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const { stdout } = await run('npm', args, { cwd: join(workspace, 'dist') });
    const [packed] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>);
    const tarball = join(folder, packed!.filename.replace('@', '').replace('/', '-'));
    tarballs.set(name, tarball);
    const target = join(modules, '@pushfleet', name);
    await mkdir(target);
    await run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  }
  for (const name of ['bullmq', 'ioredis', 'zod', '@types']) {
    await symlink(join(root, 'node_modules', name), join(modules, name));
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
}, 120_000);
afterAll(async () => rm(folder, { recursive: true, force: true }));

test.each(names)('%s is packed as publint wants it', async (name) => {
  const { messages, pkg } = await publint({
    pkgDir: join(folder, 'node_modules/@pushfleet', name),
    pack: false,
    strict: true,
  });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test.each(names)('the types of %s are found as its code is', async (name) => {
  const data = new Uint8Array(await readFile(tarballs.get(name)!));
  const analysis = await checkPackage(createPackageFromTarballData(data));
  expect(analysis.types).toBeTruthy();
  // It is ESM alone: resolutions from CommonJS, and those from before `exports`, are nobody's.
  const problems = (analysis as { problems: { kind: string; resolutionKind?: string }[] }).problems.filter(
    ({ kind, resolutionKind }) =>
      kind !== 'CJSResolvesToESM' && resolutionKind !== 'node10' && resolutionKind !== 'node16-cjs',
  );
  expect(problems).toEqual([]);
});

test('what was packed runs, and type checks, where only it is installed', async () => {
  const source = `
    import { createPushQueue, notificationId, PushQueueError, readWorkers } from '${scope}/push-queue';
    import { readQueueDepth } from '${scope}/push-queue/status';
    import { createClient, operations, PushfleetError, type SendAnswer } from '${scope}/client';
    import { parseDeviceToken } from '${scope}/apns-wire/device-token';
    const queue = createPushQueue({ redis: 'redis://127.0.0.1:1', writeTimeoutMs: 200 });
    const token: string = parseDeviceToken('ab'.repeat(32));
    const refused = await queue.enqueue({ app: 'shop', token, alert: 'x' }).catch((error: unknown) => error);
    await queue.close();
    const client = createClient({ baseUrl: 'http://127.0.0.1:1', retries: 0 });
    const hashes: string[] = [];
    const redis = { evalsha: async (hash: string) => (hashes.push(hash), []) } as never;
    await readWorkers({ redis, prefix: 'pushfleet' });
    const failed = await client.send({ app: 'shop', token, alert: 'x' }).catch((error: unknown) => error);
    const answer: SendAnswer | undefined = undefined;
    console.log(JSON.stringify([
      refused instanceof PushQueueError && refused.code,
      failed instanceof PushfleetError && failed.code,
      typeof readQueueDepth, typeof notificationId, operations.length > 20, answer, hashes.length,
    ]));`;
  await writeFile(join(folder, 'consumer.mts'), source);
  const options = { strict: true, module: 'nodenext', target: 'es2024', types: ['node'], skipLibCheck: true };
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['consumer.mts'] }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: folder });
  const { stdout } = await run(process.execPath, ['consumer.mjs'], { cwd: folder });
  expect(JSON.parse(stdout)).toEqual([
    'redis-unavailable',
    'unreachable',
    'function',
    'function',
    true,
    null,
    1,
  ]);
}, 60_000);

test('every script of Redis is packed where the code looks for it', () => {
  const scripts = (from: string) => globSync('**/*.lua', { cwd: from }).sort();
  const source = scripts(join(root, 'packages/push-queue/src'));
  expect(source).toContain('redis/scripts/report.lua');
  expect(scripts(join(folder, 'node_modules/@pushfleet/push-queue'))).toEqual(source);
});

test('the library loads no server and no database', async () => {
  const { dependencies } = JSON.parse(
    await readFile(join(folder, 'node_modules/@pushfleet/push-queue/package.json'), 'utf8'),
  ) as { dependencies: object };
  expect(Object.keys(dependencies)).toEqual(['@pushfleet/apns-wire', 'bullmq', 'ioredis', 'zod']);
  const client = JSON.parse(
    await readFile(join(folder, 'node_modules/@pushfleet/client/package.json'), 'utf8'),
  ) as { dependencies: object };
  expect(client.dependencies).toEqual({});
});
