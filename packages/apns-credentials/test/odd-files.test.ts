import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CredentialError,
  type CredentialLocation,
  loadCertificate,
  loadCredential,
  recognizeCredential,
  watchCredential,
} from '../src/index.ts';
import { environment, fixture, fixtureText, passphrase } from './fixture.ts';

// Files as people have them: what can be read is read, and what cannot is refused with the file's name and what to do.

let folder: string;
let certificates: Awaited<ReturnType<typeof createTestCertificates>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pushfleet-odd-'));
  certificates = await createTestCertificates();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let files = 0;
async function file(content: string | Buffer, name?: string): Promise<string> {
  files += 1;
  const path = join(folder, name ?? `${files}.pem`);
  await writeFile(path, content);
  return path;
}

async function problemOf(location: CredentialLocation): Promise<string> {
  try {
    await loadCredential(location, { environment });
  } catch (error) {
    if (error instanceof CredentialError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le');

/** What editors, browsers, shells and deployments do to a text. */
const changes: readonly [string, (text: string) => string | Buffer][] = [
  ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
  ['CR', (text) => text.replaceAll('\n', '\r')],
  ['all on one line', (text) => text.replaceAll('\n', '')],
  ['spaces for line ends', (text) => text.replaceAll('\n', ' ')],
  ['line ends as two characters', (text) => text.replaceAll('\n', '\\n')],
  ['CRLF as four characters', (text) => text.replaceAll('\n', '\\r\\n')],
  ['trailing spaces on each line', (text) => text.replaceAll('\n', '  \n')],
  ['blank lines and spaces before and after', (text) => `\n\n  ${text}\n \t\n`],
  ['a byte order mark', (text) => `\ufeff${text}`],
  ['UTF-16', utf16],
  ['UTF-16, most significant byte first', (text) => utf16(text).swap16()],
  ['base64 once more, without lines BEGIN and END', (text) => Buffer.from(text).toString('base64')],
  [
    'the attributes of a bag before it',
    (text) => `Bag Attributes\n    friendlyName: x\nKey Attributes: <None>\n${text}`,
  ],
];

describe.each(changes)('%s', (_, change) => {
  test('a certificate with its key is read', async () => {
    const { bundlePem } = certificates.production;
    const cert = await file(change(bundlePem));
    expect(await recognizeCredential(cert)).toBe('cert');
    const credential = await loadCredential({ cert });
    const expected = await loadCredential({ cert: await file(bundlePem) });
    expect(credential.fingerprint).toBe(expected.fingerprint);
  });

  test('a certificate alone is read', async () => {
    const read = await loadCertificate(await file(change(certificates.production.certificatePem)));
    expect(read.certificate.defaultTopic).toBe('com.example.shop');
  });

  test('a provider key is read', async () => {
    const p8 = await file(change(certificates.providerKey.p8), `key-${files}.p8`);
    expect(await recognizeCredential(p8)).toBe('p8');
    expect(await problemOf({ p8, keyId: 'KEY1234567', teamId: 'TEAM123456' })).toBe('none');
  });
});

describe('provider keys', () => {
  const ids = { keyId: 'KEY1234567', teamId: 'TEAM123456' };
  const key = () => createPrivateKey(certificates.providerKey.p8);

  test('one in SEC 1 form is taken by loading and recognising alike, with the parameters of its curve or without', async () => {
    const pem = key().export({ type: 'sec1', format: 'pem' }).toString();
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
    const der = key().export({ type: 'sec1', format: 'der' });
    for (const content of [pem, parameters + pem, der]) {
      const p8 = await file(content);
      expect(await recognizeCredential(p8)).toBe('p8');
      expect(await problemOf({ p8, ...ids })).toBe('none');
    }
  });

  test('one in DER is taken, also with a line end behind it', async () => {
    const der = key().export({ type: 'pkcs8', format: 'der' });
    for (const content of [der, Buffer.concat([der, Buffer.from('\r\n')])]) {
      const p8 = await file(content);
      expect(await recognizeCredential(p8)).toBe('p8');
      expect(await problemOf({ p8, ...ids })).toBe('none');
    }
  });

  test('an encrypted one is refused with what to do, and no word of a passphrase that could not be given', async () => {
    const encrypted = key().export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
    const p8 = await file(encrypted.toString(), 'AuthKey_KEY1234567.p8');
    expect(await recognizeCredential(p8)).toBe('p8');
    const problem = await problemOf({ p8, ...ids });
    expect(problem).toMatch(/^provider-key-invalid: .*AuthKey_KEY1234567\.p8: .*is encrypted.*openssl pkcs8/);
    expect(problem).not.toContain('passphraseFile');
  });

  test('a file that is named after another key is refused, naming both', async () => {
    const p8 = await file(certificates.providerKey.p8, 'AuthKey_ABC1234567.p8');
    expect(await problemOf({ p8, ...ids })).toMatch(
      /^provider-ids-invalid: .*AuthKey_ABC1234567\.p8: .*the key ABC1234567.*keyId says KEY1234567/,
    );
    const copy = await file(certificates.providerKey.p8, 'AuthKey_KEY1234567 (1).p8');
    expect(await problemOf({ p8: copy, ...ids })).toBe('none');
  });
});

describe('.p12 files', () => {
  const p12 = () => certificates.production.toPkcs12({ passphrase: 'geheim' });

  test.each(['\n', '\r\n', '\n\n', ' '])('one with %j behind it is read', async (end) => {
    const path = await file(Buffer.concat([p12(), Buffer.from(end)]));
    expect(await problemOf({ p12: path, passphrase })).toBe('none');
    // The length of one by Keychain is in no header: it ends where its parts end.
    const keychain = certificates.production.toPkcs12({ passphrase: 'geheim', encryption: 'legacy' });
    expect(
      await problemOf({ p12: await file(Buffer.concat([keychain, Buffer.from(end)])), passphrase }),
    ).toBe('none');
  });

  test('one in base64 is read', async () => {
    expect(await problemOf({ p12: await file(p12().toString('base64')), passphrase })).toBe('none');
  });

  test('one with something else behind it is damaged', async () => {
    const path = await file(Buffer.concat([p12(), Buffer.from('<html>')]));
    expect(await problemOf({ p12: path, passphrase })).toMatch(/^malformed: .*something/);
  });

  test('without an integrity code: no passphrase is not a wrong one', async () => {
    const path = join(folder, 'no-mac.p12');
    const pem = await file(certificates.production.bundlePem);
    execFileSync('openssl', [
      'pkcs12',
      '-export',
      '-nomac',
      '-in',
      pem,
      '-out',
      path,
      '-passout',
      'pass:geheim',
    ]);
    expect(await problemOf({ p12: path, passphrase })).toBe('none');
    expect(await problemOf({ p12: path })).toMatch(/^passphrase-missing: /);
    expect(await problemOf({ p12: path, passphrase: { env: 'TEST_WRONG_PASSPHRASE' } })).toMatch(
      /^passphrase-wrong: /,
    );
    for (const password of ['pass:', 'pass:none']) {
      const args = password === 'pass:' ? [] : ['-keypbe', 'NONE', '-certpbe', 'NONE'];
      execFileSync('openssl', [
        'pkcs12',
        '-export',
        '-nomac',
        ...args,
        '-in',
        pem,
        '-out',
        path,
        '-passout',
        password,
      ]);
      expect(await problemOf({ p12: path }), password).toBe('none');
    }
  });
});

describe('passphrases', () => {
  test.each([
    ['nothing', 'geheim'],
    ['a line end', 'geheim\n'],
    ['CRLF', 'geheim\r\n'],
    ['two line ends', 'geheim\n\n'],
    ['a byte order mark', '\ufeffgeheim\n'],
    ['UTF-16', utf16('geheim\r\n')],
  ])('with %s around it', async (_, content) => {
    const location = { p12: fixture('test-only-aes-256.p12'), passphrase: { file: await file(content) } };
    expect(await problemOf(location)).toBe('none');
  });

  test('a space is part of it, and is named where it is wrong', async () => {
    const location = { p12: fixture('test-only-aes-256.p12'), passphrase: { file: await file('geheim \n') } };
    expect(await problemOf(location)).toMatch(/^passphrase-wrong: .*aes-256\.p12: .*ends with a space/);
  });
});

describe('several certificates', () => {
  test('in any order: the one of the key comes first, and those that lead to its authority follow', async () => {
    const { production, authority } = certificates;
    const cert = await file(authority.certificatePem + production.privateKeyPem + production.certificatePem);
    const credential = await loadCredential({ cert });
    if (credential.kind !== 'certificate') throw new TypeError('a certificate was read');
    expect(credential.certificate.defaultTopic).toBe('com.example.shop');
    expect(credential.certPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const [first, own] = [credential.certPem, production.certificatePem].map(
      (pem) => new X509Certificate(pem),
    );
    expect(first!.fingerprint256).toBe(own!.fingerprint256);
  });
});

describe('what is no file with a credential in it is refused with its name', () => {
  const cases: readonly [string, () => Promise<string>, RegExp][] = [
    ['nothing', async () => join(folder, 'nowhere.pem'), /^file-missing: There is no file .*nowhere\.pem/],
    ['an empty file', async () => file('', 'empty.pem'), /^format-unknown: .*empty\.pem is empty/],
    ['a folder', async () => folder, /^file-unreadable: .*is a folder/],
    [
      'a named pipe, which would never end',
      async () => {
        execFileSync('mkfifo', [join(folder, 'pipe')]);
        return join(folder, 'pipe');
      },
      /^file-unreadable: .*pipe is no regular file/,
    ],
    [
      'a file of 100 MB',
      async () => {
        const path = await file('', 'large.pem');
        await truncate(path, 100_000_000);
        return path;
      },
      /^file-too-large: .*large\.pem has 100000000 bytes/,
    ],
    [
      'a link to nothing',
      async () => {
        await symlink(join(folder, 'gone'), join(folder, 'dangling.pem'));
        return join(folder, 'dangling.pem');
      },
      /^file-missing: .*dangling\.pem/,
    ],
    [
      'a file that is cut off',
      async () => file(fixtureText('test-only-rsa-cert.pem').slice(0, 300), 'cut.pem'),
      /^malformed: .*cut\.pem: .*cut off/,
    ],
    [
      'a damaged certificate',
      async () => file('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', 'damaged.pem'),
      /^malformed: .*damaged\.pem: The certificate is damaged/,
    ],
  ];
  test.each(cases)('%s', async (_, make, expected) => {
    const cert = await make();
    expect(await problemOf({ cert })).toMatch(expected);
    // Recognising names the file as loading does.
    const recognized = await recognizeCredential(cert).then(
      () => 'none',
      (error: CredentialError) => `${error.code}: ${error.message}`,
    );
    expect(recognized).toMatch(expected);
  });

  test.skipIf(process.getuid?.() === 0)('one that this user may not read', async () => {
    const cert = await file(certificates.production.bundlePem, 'forbidden.pem');
    await chmod(cert, 0);
    expect(await problemOf({ cert })).toMatch(
      /^file-unreadable: .*forbidden\.pem .*no right to read it, EACCES/,
    );
  });
});

test('a folder that is swapped by a symbolic link, as Kubernetes does, is read anew', async () => {
  const base = join(folder, 'secret');
  await mkdir(join(base, '..1'), { recursive: true });
  await mkdir(join(base, '..2'), { recursive: true });
  await writeFile(join(base, '..1', 'tls.pem'), certificates.expired.bundlePem);
  await writeFile(join(base, '..2', 'tls.pem'), certificates.production.bundlePem);
  await symlink('..1', join(base, '..data'));
  await symlink(join('..data', 'tls.pem'), join(base, 'tls.pem'));
  const use = { topic: 'com.example.shop', environment: 'production' } as const;
  const watched = await watchCredential({ cert: join(base, 'tls.pem') }, { use, settleMs: 1 });
  expect(() => watched.current()).toThrow(/expired/);
  const renewed = new Promise((resolve) => watched.onChange(resolve));
  await symlink('..2', join(base, '..data_tmp'));
  execFileSync('mv', ['-T', join(base, '..data_tmp'), join(base, '..data')]);
  await renewed;
  expect(watched.problem).toBeUndefined();
  watched.close();
});

test('a key derivation of many rounds leaves the event loop free', { timeout: 60_000 }, async () => {
  const path = join(folder, 'slow.p12');
  const pem = await file(certificates.production.bundlePem);
  execFileSync('openssl', [
    ...['pkcs12', '-export', '-in', pem, '-out', path, '-passout', 'pass:geheim', '-iter', '600000'],
  ]);
  let turns = 0;
  let isDone = false;
  const turn = (): void => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const startedAt = performance.now();
  expect(await problemOf({ p12: path, passphrase })).toBe('none');
  isDone = true;
  // 600,000 rounds for the integrity code alone are 300 turns; in one piece there would be a handful.
  expect(turns, `in ${performance.now() - startedAt} ms`).toBeGreaterThan(200);
});
