import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Credential, type WatchedCredential, type WatchOptions, watchCredential } from '../src/index.ts';

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await createTestCertificates({ topic: 'com.example.shop' });
});

let folder: string;
const open: WatchedCredential[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pushfleet-credentials-'));
});
afterEach(async () => {
  for (const watched of open.splice(0)) watched.close();
  await rm(folder, { recursive: true, force: true });
});

const use = { topic: 'com.example.shop', environment: 'production' } as const;
/** Watching alone, and polling alone, must each do. */
const byWatching: WatchOptions = { settleMs: 5, pollIntervalMs: 3_600_000 };
const byPolling: WatchOptions = { settleMs: 3_600_000, pollIntervalMs: 20 };

async function watchPem(name: string, options: WatchOptions): Promise<WatchedCredential> {
  const watched = await watchCredential({ cert: join(folder, name) }, options);
  open.push(watched);
  return watched;
}

function nextChange(watched: WatchedCredential): Promise<Credential> {
  const events = new EventEmitter();
  watched.onChange((credential) => events.emit('change', credential));
  return once(events, 'change', { signal: AbortSignal.timeout(5_000) }).then(
    ([credential]) => credential as Credential,
  );
}

function nextProblem(watched: WatchedCredential): Promise<string> {
  const events = new EventEmitter();
  watched.onProblem((problem) => events.emit('problem', problem?.code ?? 'none'));
  return once(events, 'problem', { signal: AbortSignal.timeout(5_000) }).then(([code]) => code as string);
}

function fingerprintOf(credential: Credential): string {
  return credential.kind === 'certificate' ? credential.certificate.sha256Fingerprint : '';
}

function expectedFingerprint(name: 'production' | 'universal'): string {
  return certificates[name].x509.fingerprint256.replaceAll(':', '').toLowerCase();
}

test.each([
  ['watching', byWatching],
  ['polling', byPolling],
])('a renewed certificate is taken up by %s', async (_, options) => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', options);
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));
  const change = nextChange(watched);
  await writeFile(join(folder, 'ck.pem'), certificates.universal.bundlePem);
  expect(fingerprintOf(await change)).toBe(expectedFingerprint('universal'));
  expect(watched.tls.current().cert).toBe(certificates.universal.certificatePem.replaceAll('\r', ''));
});

test('a file that is replaced rather than rewritten is noticed', async () => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', byWatching);
  const change = nextChange(watched);
  await writeFile(join(folder, 'ck.new'), certificates.universal.bundlePem);
  await rename(join(folder, 'ck.new'), join(folder, 'ck.pem'));
  expect(fingerprintOf(await change)).toBe(expectedFingerprint('universal'));
});

test('a secret that Kubernetes swaps by its symbolic links is noticed', async () => {
  const publish = async (version: string, content: string): Promise<void> => {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'ck.pem'), content);
    await symlink(version, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  await publish('..2026_01', certificates.production.bundlePem);
  await symlink('..data/ck.pem', join(folder, 'ck.pem'));
  const watched = await watchPem('ck.pem', byWatching);
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));
  const change = nextChange(watched);
  await publish('..2026_02', certificates.universal.bundlePem);
  expect(fingerprintOf(await change)).toBe(expectedFingerprint('universal'));
});

test('while the new file is bad, the old credential stays, and the reason is told; then the next good one is taken', async () => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', { ...byWatching, use });
  const problem = nextProblem(watched);
  await writeFile(join(folder, 'ck.pem'), certificates.development.bundlePem);
  expect(await problem).toBe('environment-mismatch');
  expect(watched.problem?.code).toBe('environment-mismatch');
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));

  const missing = nextProblem(watched);
  await unlink(join(folder, 'ck.pem'));
  expect(await missing).toBe('file-missing');
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));

  const [change, solved] = [nextChange(watched), nextProblem(watched)];
  await writeFile(join(folder, 'ck.pem'), certificates.universal.bundlePem);
  expect(fingerprintOf(await change)).toBe(expectedFingerprint('universal'));
  expect(await solved).toBe('none');
  expect(watched.problem).toBeUndefined();
});

test('without a good credential from the start, current() throws the reason, until there is one', async () => {
  const watched = await watchPem('ck.pem', byWatching);
  expect(() => watched.current()).toThrow(expect.objectContaining({ code: 'file-missing' }));
  expect(() => watched.tls.current()).toThrow(expect.objectContaining({ code: 'file-missing' }));
  const change = nextChange(watched);
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  await change;
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));
});

test('a passphrase file that is corrected later opens the credential', async () => {
  const paths = { p12: join(folder, 'push.p12'), passphrase: { file: join(folder, 'passphrase') } };
  await writeFile(
    paths.p12,
    certificates.production.toPkcs12({ passphrase: 'geheim', encryption: 'legacy' }),
  );
  await writeFile(paths.passphrase.file, 'falsch');
  const watched = await watchCredential(paths, byWatching);
  open.push(watched);
  expect(watched.problem?.code).toBe('passphrase-wrong');
  const change = nextChange(watched);
  await writeFile(paths.passphrase.file, 'geheim\n');
  expect(fingerprintOf(await change)).toBe(expectedFingerprint('production'));
});

test('a certificate that expires while in use stays in use, and says so', async () => {
  let nowMs = Date.now();
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', { ...byWatching, use, now: () => nowMs });
  expect(watched.problem).toBeUndefined();
  nowMs += 400 * 86_400_000;
  await watched.refresh();
  expect(watched.problem?.code).toBe('certificate-expired');
  expect(fingerprintOf(watched.current())).toBe(expectedFingerprint('production'));
});

test('a file that is written again unchanged tells nobody anything', async () => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', byPolling);
  const seen: Credential[] = [];
  watched.onChange((credential) => seen.push(credential));
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  await watched.refresh();
  expect(seen).toEqual([]);
});

test('a listener that throws keeps nobody from hearing', async () => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', byPolling);
  watched.onChange(() => {
    throw new Error('its own affair');
  });
  const change = nextChange(watched);
  await writeFile(join(folder, 'ck.pem'), certificates.universal.bundlePem);
  await change;
});

test('an unsubscribed listener hears nothing, nor does any after close()', async () => {
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  const watched = await watchPem('ck.pem', byPolling);
  const seen: string[] = [];
  watched.onChange(() => seen.push('unsubscribed'))();
  const change = nextChange(watched);
  await writeFile(join(folder, 'ck.pem'), certificates.universal.bundlePem);
  await change;
  watched.onChange(() => seen.push('closed'));
  watched.close();
  await writeFile(join(folder, 'ck.pem'), certificates.production.bundlePem);
  await watched.refresh();
  expect(seen).toEqual([]);
});
