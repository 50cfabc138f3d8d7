import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CredentialFiles, createCredentialFiles, env, withPassphrase } from './credential-files.ts';
import { runCli } from './run-cli.ts';

let files: CredentialFiles;
let count = 0;
beforeAll(async () => {
  files = await createCredentialFiles();
});
afterAll(() => files.remove());

async function convert(file: string, form: string, ...args: string[]) {
  count += 1;
  const out = files.path(`out-${count}`);
  const run = await runCli(
    ['credentials', 'convert', files.path(file), '--to', form, '--out', out, ...args],
    env,
  );
  const { exitCode, stdout, stderr } = run;
  return { exitCode, stdout, stderr, out };
}

const withNewPassphrase = ['--new-passphrase-env', 'TEST_PASSPHRASE'];

function isKey(pem: string, passphrase?: string): boolean {
  const key = createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  return key.equals(createPrivateKey(files.certificates.universal.privateKeyPem));
}

test.each([
  ['a .cer', 'aps.cer', []],
  ['a .pem with the key too', 'ck.pem', []],
  ['a .p12', 'shop.p12', withPassphrase],
])('%s → certificate in PEM', async (_, file, args) => {
  const { exitCode, stdout, out } = await convert(file, 'cert', ...args);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `wrote ${out}: certificate, PEM\n` });
  const pem = await readFile(out, 'utf8');
  expect(new X509Certificate(pem).raw).toEqual(files.certificates.universal.certificateDer);
  expect(pem).not.toContain('PRIVATE');
});

test('a .p12 of Keychain → key, which nobody else can read', async () => {
  const { exitCode, out } = await convert('keychain.p12', 'key', ...withPassphrase);
  expect(exitCode).toBe(0);
  expect(isKey(await readFile(out, 'utf8'))).toBe(true);
  expect((await stat(out)).mode & 0o777).toBe(0o600);
});

test('a new passphrase encrypts the key', async () => {
  const { out } = await convert('ck.pem', 'key', ...withNewPassphrase);
  const pem = await readFile(out, 'utf8');
  expect(pem).toContain('BEGIN ENCRYPTED PRIVATE KEY');
  expect(isKey(pem, env.TEST_PASSPHRASE)).toBe(true);
});

test('.cer and key → joined, which TLS takes', async () => {
  const { out } = await convert('aps.cer', 'joined', '--key', files.path('key.pem'));
  const pem = await readFile(out, 'utf8');
  createSecureContext({ cert: pem, key: pem });
  const run = await runCli(['credentials', 'inspect', out, '--json']);
  expect(run.json).toMatchObject({ privateKey: 'present', problems: [] });
});

test.each([
  ['AES-256', []],
  ['3DES', ['--old-readers']],
])('joined → .p12 under %s, and back', async (_, args) => {
  const { exitCode, out } = await convert('ck.pem', 'p12', ...withNewPassphrase, ...args);
  expect(exitCode).toBe(0);
  createSecureContext({ pfx: await readFile(out), passphrase: env.TEST_PASSPHRASE });
  const back = await runCli(
    ['credentials', 'convert', out, ...withPassphrase, '--to', 'key', '--out', `${out}.pem`],
    env,
  );
  expect(back.exitCode).toBe(0);
  expect(isKey(await readFile(`${out}.pem`, 'utf8'))).toBe(true);
});

test.skipIf(!hasOpenssl())('a .p12 that openssl made with -legacy is read', async () => {
  const out = files.path('openssl-legacy.p12');
  execFileSync('openssl', [
    ...['pkcs12', '-export', '-legacy', '-in', files.path('aps.pem'), '-inkey', files.path('key.pem')],
    ...['-certpbe', 'PBE-SHA1-RC2-40', '-keypbe', 'PBE-SHA1-3DES', '-passout', 'pass:geheim', '-out', out],
  ]);
  const { exitCode, json } = await runCli(['credentials', 'inspect', out, ...withPassphrase, '--json'], env);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ privateKey: 'present', problems: [] });
});

test('a file that is there is kept, unless by force', async () => {
  const first = await convert('aps.cer', 'cert');
  const args = ['credentials', 'convert', files.path('production.pem'), '--to', 'cert', '--out', first.out];
  const { exitCode, stderr } = await runCli(args, env);
  expect(exitCode).toBe(1);
  expect(stderr).toBe(`pushfleet: ${first.out} is there already: name another file, or give --force\n`);
  expect((await runCli([...args, '--force'], env)).exitCode).toBe(0);
  expect(new X509Certificate(await readFile(first.out)).raw).toEqual(
    files.certificates.production.certificateDer,
  );
});

test('nothing is written when the folder is not there', async () => {
  const { exitCode, stderr } = await runCli([
    ...['credentials', 'convert', files.path('aps.cer'), '--to', 'cert'],
    ...['--out', files.path('nowhere/aps.pem')],
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('cannot be written: ENOENT');
});

test.each([
  ['a certificate without its key → .p12', 'aps.cer', 'p12', withNewPassphrase, 1, 'no private key'],
  ['a .p12 without a passphrase for it', 'ck.pem', 'p12', [], 2, 'needs --new-passphrase-file'],
  ['a provider key', 'AuthKey_KEY1234567.p8', 'key', ['--team-id', 'TEAM123456'], 2, 'has no other form'],
  ['a form that does not exist', 'ck.pem', 'jks', [], 2, 'Allowed choices are cert, key, joined, p12'],
])('%s is refused, and nothing is written', async (_, file, form, args, code, message) => {
  const { exitCode, stderr, out } = await convert(file, form, ...args);
  expect(exitCode).toBe(code);
  expect(stderr).toContain(message);
  await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
});

function hasOpenssl(): boolean {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL 3');
  } catch {
    return false;
  }
}
