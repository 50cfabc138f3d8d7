import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CredentialFiles, createCredentialFiles, env, withPassphrase } from './credential-files.ts';
import { runCli } from './run-cli.ts';

let files: CredentialFiles;
beforeAll(async () => {
  files = await createCredentialFiles();
});
afterAll(() => files.remove());

const inspect = async (file: string, ...args: string[]) =>
  runCli(['credentials', 'inspect', files.path(file), ...args], env);

test.each([
  ['a .cer of Apple', 'aps.cer', [], 'absent'],
  ['a certificate in PEM', 'aps.pem', [], 'absent'],
  ['certificate and key joined', 'ck.pem', [], 'present'],
  ['a .p12 as OpenSSL 3 writes it', 'shop.p12', withPassphrase, 'present'],
  ['a .p12 as Keychain exports it', 'keychain.p12', withPassphrase, 'present'],
])('tells the facts of %s', async (_, file, args, privateKey) => {
  const { exitCode, json, stderr } = await inspect(file, ...args, '--json');
  const { x509 } = files.certificates.universal;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(json).toMatchObject({
    kind: 'certificate',
    privateKey,
    certificate: {
      commonName: 'Apple Push Services: com.example.shop',
      environments: ['production', 'sandbox'],
      sha256Fingerprint: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
      notAfter: x509.validToDate.toISOString(),
    },
    daysLeft: 364,
    expiryWarningDays: null,
    problems: [],
    usableFor: {
      transports: ['binary', 'http2'],
      topics: [
        { topic: 'com.example.shop', pushTypes: ['alert', 'background'] },
        { topic: 'com.example.shop.voip', pushTypes: ['voip'] },
        { topic: 'com.example.shop.complication', pushTypes: ['complication'] },
      ],
    },
  });
});

test('tells people the same in words', async () => {
  const { stdout } = await inspect('aps.pem', '--key', files.path('key.pem'));
  expect(stdout).toMatch(/^certificate +Apple Push Services: com\.example\.shop$/m);
  expect(stdout).toMatch(/^private key +present, RSA 2048$/m);
  expect(stdout).toMatch(/^environments +production, sandbox$/m);
  expect(stdout).toMatch(/^topics +com\.example\.shop \(app\)\n +com\.example\.shop\.voip \(voip\)$/m);
  expect(stdout).toContain('expires in 364 days');
  expect(stdout).toMatch(/^good for +binary gateway, feedback service, HTTP\/2$/m);
});

test('says that it fits what was asked about', async () => {
  const { stdout } = await inspect('ck.pem', '--topic', 'com.example.shop', '--environment', 'production');
  expect(stdout.endsWith('\n\n✓ fits com.example.shop in production\n')).toBe(true);
});

test('tells the facts of a provider key, whose id is in the name of its file', async () => {
  const { exitCode, json } = await inspect('AuthKey_KEY1234567.p8', '--team-id', 'TEAM123456', '--json');
  expect(exitCode).toBe(0);
  expect(json).toEqual({
    kind: 'token',
    keyId: 'KEY1234567',
    teamId: 'TEAM123456',
    sha256Fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    problems: [],
    usableFor: {
      transports: ['http2'],
      environments: ['production', 'sandbox'],
      topics: [{ topic: '*', pushTypes: ['all'] }],
    },
  });
});

test('never shows the private key', async () => {
  const secrets = [files.certificates.universal.privateKeyPem, files.certificates.providerKey.p8].map(
    (pem) => pem.split('\n')[1]!,
  );
  const runs = await Promise.all([
    inspect('ck.pem'),
    inspect('ck.pem', '--json'),
    inspect('shop.p12', ...withPassphrase, '--json'),
    inspect('AuthKey_KEY1234567.p8', '--team-id', 'TEAM123456', '--json'),
    inspect('AuthKey_KEY1234567.p8', '--team-id', 'no'),
    inspect('production.pem', '--key', files.path('key.pem')),
  ]);
  for (const { stdout, stderr } of runs) {
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  }
});

describe('what is not in order is told with exit code 1', () => {
  test.each([
    ['it has expired', 'expired.pem', [], 'certificate-expired'],
    ['it is no push certificate', 'plain.pem', [], 'not-a-push-certificate'],
    ['another environment', 'production.pem', ['--environment', 'sandbox'], 'environment-mismatch'],
    ['another topic', 'ck.pem', ['--topic', 'com.example.other'], 'topic-not-covered'],
  ])('%s', async (_, file, args, code) => {
    const { exitCode, json } = await inspect(file, ...args, '--json');
    expect(exitCode).toBe(1);
    expect(json.problems).toEqual([{ code, message: expect.any(String) }]);
    expect((await inspect(file, ...args)).stdout).toContain('✗ The certificate "');
  });

  test.each([
    ['a wrong passphrase', 'shop.p12', ['--passphrase-env', 'TEST_WRONG_PASSPHRASE'], 'passphrase-wrong'],
    ['no passphrase', 'shop.p12', [], 'passphrase-missing'],
    [
      'a passphrase file that is not there',
      'shop.p12',
      ['--passphrase-file', 'nowhere'],
      'passphrase-unavailable',
    ],
    ['a file that is not there', 'nowhere.p12', [], 'file-missing'],
  ])('%s', async (_, file, args, code) => {
    const { exitCode, json } = await inspect(file, ...args, '--json');
    expect(exitCode).toBe(1);
    expect(json).toEqual({ error: { code, message: expect.any(String) } });
  });

  test('a key of another certificate', async () => {
    const { exitCode, stderr } = await inspect('production.pem', '--key', files.path('key.pem'));
    expect(exitCode).toBe(1);
    expect(stderr).toContain('The private key does not belong to the certificate');
  });

  test.each([
    [
      'a signing request',
      '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n',
      'This is a certificate signing request, what was sent to Apple',
    ],
    ['a provisioning profile', 'bytes <plist version="1.0"></plist>', 'This is a provisioning profile'],
    ['anything else', 'Dear Apple,\n', 'This is not a certificate, neither as PEM nor as DER'],
  ])('%s given by mistake', async (name, content, message) => {
    await files.write(name, content);
    const { exitCode, stderr } = await inspect(name);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
  });
});

test.each([
  ['a provider key without the team', 'AuthKey_KEY1234567.p8', [], 'needs --team-id'],
  ['a .p12 with a key beside it', 'shop.p12', ['--key', 'x'], 'leave --key out'],
  ['two passphrases', 'shop.p12', ['--passphrase-env', 'A', '--passphrase-file', 'b'], 'not both'],
])('%s is a wrong call, with 2', async (_, file, args, message) => {
  const { exitCode, stderr } = await inspect(file, ...args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});
