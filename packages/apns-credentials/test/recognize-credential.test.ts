import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProviderKey } from '@pushfleet/testkit/certificates';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recognizeCredential } from '../src/index.ts';
import { fixture } from './fixture.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pushfleet-recognize-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['test-only-rc2-40.p12', 'p12'],
  ['test-only-aes-256.p12', 'p12'],
  ['test-only-rsa-cert.cer', 'cert'],
  ['test-only-rsa-cert.pem', 'cert'],
  // No provider keys: another curve, another algorithm, a passphrase.
  ['test-only-p384.p8', 'cert'],
  ['test-only-rsa-key.pem', 'cert'],
  ['test-only-rsa-key-pbes2.pem', 'cert'],
  // No credentials at all: loading them says so.
  ['test-only-request.pem', 'cert'],
  ['test-only.mobileprovision', 'cert'],
])('%s is to be loaded as %s', async (name, kind) => {
  expect(await recognizeCredential(fixture(name))).toBe(kind);
});

test('a provider key is told by what it holds, whatever its name', async () => {
  const path = join(folder, 'key.txt');
  await writeFile(path, createProviderKey().p8);
  expect(await recognizeCredential(path)).toBe('p8');
});

test('a file that is not there is told', async () => {
  await expect(recognizeCredential(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'file-missing' });
});
