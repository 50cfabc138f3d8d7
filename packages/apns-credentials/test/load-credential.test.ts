import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { inspect } from 'node:util';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDerSequence, readDerValues } from '../src/der.ts';
import { type CredentialLocation, loadCredential } from '../src/index.ts';
import { environment, fixture, fixtureText, passphrase } from './fixture.ts';

let certificates: TestCertificates;
let folder: string;
beforeAll(async () => {
  [certificates, folder] = await Promise.all([
    createTestCertificates({ topic: 'com.example.shop' }),
    mkdtemp(join(tmpdir(), 'pushfleet-credentials-')),
  ]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const rsaCert = fixture('test-only-rsa-cert.pem');
const wrong = { env: 'TEST_WRONG_PASSPHRASE' };
const umlaut = { env: 'TEST_UMLAUT_PASSPHRASE' };

/** Loads a push certificate. */
async function load(location: CredentialLocation) {
  const credential = await loadCredential(location, { environment });
  if (credential.kind !== 'certificate') throw new Error('A certificate was expected');
  return credential;
}

/** What is wrong, as `code: message`. */
async function problemOf(location: CredentialLocation): Promise<string> {
  return loadCredential(location, { environment }).then(
    () => 'none',
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );
}

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Whether two private keys in PEM are the same. */
function sameKey(left: string, right: string): boolean {
  return createPrivateKey(left).equals(createPrivateKey(right));
}

/** Rewrites a PFX of DER as older Keychains write it: indefinite lengths, the safe in pieces of 1,000 bytes. */
function toBer(pfx: Buffer): Buffer {
  const [version, contentInfo, macData] = readDerSequence(pfx);
  const [type, explicit] = readDerValues(contentInfo!.content);
  const [safe] = readDerValues(explicit!.content);
  const end = Buffer.from([0, 0]);
  const indefinite = (tag: number, ...contents: Buffer[]): Buffer =>
    Buffer.concat([Buffer.from([tag, 0x80]), ...contents, end]);
  const definite = (tag: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([tag, 0x82, content.length >> 8, content.length & 0xff]), content]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < safe!.content.length; at += 1_000)
    pieces.push(definite(0x04, safe!.content.subarray(at, at + 1_000)));
  return indefinite(
    0x30,
    Buffer.from([0x02, 0x01, ...version!.content]),
    indefinite(0x30, definite(0x06, type!.content), indefinite(0xa0, indefinite(0x24, ...pieces))),
    definite(0x30, macData!.content),
  );
}

describe('.p12 files', () => {
  test.each([
    ['RC2-40 and 3DES, as Keychain and openssl -legacy write', 'test-only-rc2-40.p12'],
    ['RC2-128', 'test-only-rc2-128.p12'],
    ['3DES with two keys', 'test-only-2des.p12'],
    ['AES-256 (PBES2), as OpenSSL 3 writes', 'test-only-aes-256.p12'],
    ['no integrity code', 'test-only-no-mac.p12'],
  ])('one with %s gives the certificate and the key', async (_, name) => {
    const credential = await load({ p12: fixture(name), passphrase });
    expect(new X509Certificate(credential.certPem).raw).toEqual(
      new X509Certificate(fixtureText('test-only-rsa-cert.pem')).raw,
    );
    expect(sameKey(credential.keyPem, fixtureText('test-only-rsa-key.pem'))).toBe(true);
    expect(() => createSecureContext({ cert: credential.certPem, key: credential.keyPem })).not.toThrow();
  });

  test('one with an EC key under RC2-40 and 3DES opens', async () => {
    const credential = await load({ p12: fixture('test-only-ec-rc2-40.p12'), passphrase });
    expect(credential.certificate.keyType).toBe('EC prime256v1');
    expect(sameKey(credential.keyPem, fixtureText('test-only-ec-key-sec1.pem'))).toBe(true);
  });

  test.each(['test-only-rc2-40-umlaut.p12', 'test-only-aes-256-umlaut.p12'])(
    'a passphrase beyond ASCII opens %s',
    async (name) => {
      const credential = await load({ p12: fixture(name), passphrase: umlaut });
      expect(sameKey(credential.keyPem, fixtureText('test-only-rsa-key.pem'))).toBe(true);
    },
  );

  test('one without a passphrase opens without one', async () => {
    expect((await load({ p12: fixture('test-only-no-passphrase.p12') })).kind).toBe('certificate');
  });

  test.each(['aes256', '3des', 'legacy'] as const)(
    "one that node-forge wrote with %s opens, the authority's certificate after the own",
    async (encryption) => {
      const p12 = await file(
        `forge-${encryption}.p12`,
        certificates.production.toPkcs12({ passphrase: 'geheim', encryption, withAuthority: true }),
      );
      const credential = await load({ p12, passphrase });
      expect(credential.certPem).toBe(
        certificates.production.certificatePem.replaceAll('\r', '') +
          certificates.authority.certificatePem.replaceAll('\r', ''),
      );
    },
  );

  test.each(['test-only-rc2-40.p12', 'test-only-aes-256.p12', 'test-only-no-mac.p12'])(
    '%s tells a wrong passphrase from a missing one',
    async (name) => {
      const p12 = fixture(name);
      expect(await problemOf({ p12, passphrase: wrong })).toBe(
        `passphrase-wrong: ${p12}: The passphrase is wrong`,
      );
      if (name !== 'test-only-no-mac.p12')
        expect(await problemOf({ p12 })).toMatch(/^passphrase-missing: .*passphraseFile/);
    },
  );

  test('one in BER, with indefinite lengths and octet strings in pieces, opens as one in DER does', async () => {
    const p12 = await file('ber.p12', toBer(readFileSync(fixture('test-only-rc2-40.p12'))));
    const credential = await load({ p12, passphrase });
    expect(sameKey(credential.keyPem, fixtureText('test-only-rsa-key.pem'))).toBe(true);
  });

  test('encryption that nobody should use is named', async () => {
    expect(await problemOf({ p12: fixture('test-only-rc4.p12'), passphrase })).toMatch(
      /^encryption-unsupported: .*1\.2\.840\.113549\.1\.12\.1\.1/,
    );
  });

  test('one without a key, and one without a certificate, say what to export', async () => {
    expect(await problemOf({ p12: fixture('test-only-no-key.p12'), passphrase })).toMatch(
      /^key-missing: .*Keychain/,
    );
    expect(await problemOf({ p12: fixture('test-only-no-cert.p12'), passphrase })).toMatch(
      /^certificate-missing: .*Keychain/,
    );
  });

  test('one that is cut at any place is refused, and never half read', async () => {
    const whole = certificates.production.toPkcs12({ passphrase: 'geheim', encryption: 'legacy' });
    for (const length of [0, 1, 2, 10, 100, 1_000, whole.length - 1]) {
      const p12 = await file('cut.p12', whole.subarray(0, length));
      expect(await problemOf({ p12, passphrase })).toMatch(/^(malformed|format-unknown): /);
    }
  });

  test('one with a flipped bit opens where it does not matter, or gives a typed error', async () => {
    const whole = certificates.production.toPkcs12({ passphrase: 'geheim' });
    for (let at = 0; at < whole.length; at += 97) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x04;
      const p12 = await file('flipped.p12', bytes);
      expect(await problemOf({ p12, passphrase })).toMatch(
        /^(malformed|format-unknown|passphrase-wrong|encryption-unsupported|none)(:|$)/,
      );
    }
  });
});

describe('PEM and DER files', () => {
  test.each([
    'test-only-rsa-key.pem',
    'test-only-rsa-key-traditional.pem',
    'test-only-rsa-key-traditional-aes.pem',
    'test-only-rsa-key-traditional-3des.pem',
    'test-only-rsa-key-pbes2.pem',
    'test-only-rsa-key-pbe-3des.pem',
    'test-only-rsa-key-pbe-rc2.pem',
    'test-only-rsa-key-pbes2.der',
  ])('%s opens beside a certificate', async (name) => {
    const credential = await load({ cert: rsaCert, key: fixture(name), passphrase });
    expect(sameKey(credential.keyPem, fixtureText('test-only-rsa-key.pem'))).toBe(true);
  });

  test.each(['test-only-ec-key-sec1.pem', 'test-only-ec-key-sec1.der'])(
    '%s opens beside a certificate with an EC key',
    async (name) => {
      const credential = await load({ cert: fixture('test-only-ec-cert.pem'), key: fixture(name) });
      expect(sameKey(credential.keyPem, fixtureText('test-only-ec-key-sec1.pem'))).toBe(true);
    },
  );

  test('a certificate as Apple hands it out (.cer, DER) is as good as PEM', async () => {
    const credential = await load({
      cert: fixture('test-only-rsa-cert.cer'),
      key: fixture('test-only-rsa-key.pem'),
    });
    expect(credential.certificate.commonName).toBe('Apple Push Services: com.example.shop');
  });

  test('certificate and key may be one file, in either order, with text around them', async () => {
    const { certificatePem, privateKeyPem } = certificates.production;
    const forwards = await file(
      'ck.pem',
      `Bag Attributes\n  friendlyName: x\n${certificatePem}${privateKeyPem}`,
    );
    const backwards = await file('kc.pem', privateKeyPem + certificatePem);
    for (const cert of [forwards, backwards]) {
      expect((await load({ cert })).certificate.environments).toEqual(['production']);
      expect((await load({ cert, key: cert })).certificate.environments).toEqual(['production']);
    }
  });

  test('certificates that stand before the right one do not confuse it', async () => {
    const cert = await file(
      'chain-first.pem',
      certificates.authority.certificatePem + certificates.production.certificatePem,
    );
    const key = await file('chain-first.key', certificates.production.privateKeyPem);
    const { certPem, certificate } = await load({ cert, key });
    expect(certificate.commonName).toBe('Apple Push Services: com.example.shop');
    expect(certPem.indexOf('BEGIN', certPem.indexOf('BEGIN') + 1)).toBeGreaterThan(0);
    expect(new X509Certificate(certPem).subject).toContain('com.example.shop');
  });

  test('of a renewed certificate and its predecessor, both with the same key, the newer is taken', async () => {
    const { authority } = certificates;
    const old = await authority.issueApnsCertificate({
      topic: 'com.example.shop',
      notAfter: new Date(Date.now() + 3_600_000),
    });
    const cert = await file(
      'renewed.pem',
      old.bundlePem + certificates.production.certificatePem + certificates.production.privateKeyPem,
    );
    expect((await load({ cert })).certificate.sha256Fingerprint).toBe(
      certificates.production.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    );
  });

  test('several identities for different topics are refused by name', async () => {
    const other = await certificates.authority.issueApnsCertificate({ topic: 'com.example.news' });
    const cert = await file('several.pem', other.bundlePem + certificates.production.bundlePem);
    expect(await problemOf({ cert })).toMatch(
      /^several-identities: .*com\.example\.(shop|news)".*com\.example\.(shop|news)"/,
    );
  });

  test.each([
    'test-only-rsa-key-traditional-aes.pem',
    'test-only-rsa-key-traditional-3des.pem',
    'test-only-rsa-key-pbes2.pem',
    'test-only-rsa-key-pbe-3des.pem',
    'test-only-rsa-key-pbe-rc2.pem',
    'test-only-rsa-key-pbes2.der',
  ])('%s tells a wrong passphrase from a missing one', async (name) => {
    const key = fixture(name);
    expect(await problemOf({ cert: rsaCert, key })).toMatch(/^passphrase-missing: .*passphraseEnv/);
    expect(await problemOf({ cert: rsaCert, key, passphrase: wrong })).toBe(
      `passphrase-wrong: ${key}: The passphrase is wrong`,
    );
  });

  test('a cipher that OpenSSL 3 has given up is named', async () => {
    const key = fixture('test-only-rsa-key-traditional-des.pem');
    expect(await problemOf({ cert: rsaCert, key, passphrase })).toMatch(/^encryption-unsupported: .*DES-CBC/);
  });

  test("a key that is not the certificate's is refused", async () => {
    const { mismatched } = certificates;
    const cert = await file('mismatched.pem', mismatched.bundlePem);
    expect(await problemOf({ cert })).toMatch(/^key-mismatch: .*"Apple Push Services: com\.example\.shop"/);
    const ecKey = fixture('test-only-ec-key-sec1.pem');
    expect(await problemOf({ cert: rsaCert, key: ecKey })).toMatch(/^key-mismatch: .*another type/);
  });

  test.each([
    ['test-only-request.pem', /^certificate-request: .*developer portal/],
    ['test-only-request.der', /^certificate-request: .*developer portal/],
    ['test-only.mobileprovision', /^provisioning-profile: .*push certificate/],
    ['test-only-rsa-key.pem', /^certificate-missing: .*private key in it and no certificate/],
    ['test-only-rc2-40.p12', /^certificate-missing: .*name it as p12/],
    ['test-only-bundle.p7b', /^certificate-missing: .*PKCS #7/],
    ['README.md', /^format-unknown: .*neither as PEM nor as DER/],
  ])('%s in the place of a certificate is recognised', async (name, expected) => {
    const key = fixture('test-only-rsa-key.pem');
    expect(await problemOf({ cert: fixture(name), key })).toMatch(expected);
  });

  test.each([
    ['test-only-public-key.pem', /^key-missing: .*public key/],
    ['test-only-rsa-cert.pem', /^key-missing: .*certificate in it and no private key/],
    ['test-only-request.pem', /^certificate-request: /],
  ])('%s in the place of a key is recognised', async (name, expected) => {
    expect(await problemOf({ cert: rsaCert, key: fixture(name) })).toMatch(expected);
  });

  test.each([
    ['test-only-rsa-cert.pem', /^format-unknown: .*not a \.p12 file.*as cert and key/],
    ['test-only-request.pem', /^certificate-request: /],
    ['test-only.mobileprovision', /^provisioning-profile: /],
    ['README.md', /^format-unknown: .*not a \.p12 file/],
  ])('%s in the place of a .p12 is recognised', async (name, expected) => {
    expect(await problemOf({ p12: fixture(name) })).toMatch(expected);
  });
});

describe('provider keys', () => {
  const ids = { keyId: 'KEY1234567', teamId: 'TEAM123456' };

  test('a .p8 gives a credential that can sign', async () => {
    const p8 = await file('AuthKey_KEY1234567.p8', certificates.providerKey.p8);
    const credential = await loadCredential({ p8, ...ids });
    expect(credential).toMatchObject({ kind: 'token', ...ids });
    expect(credential.kind === 'token' && credential.key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  });

  test.each([
    ['test-only-p384.p8', /^provider-key-invalid: .*P-256; this one is EC secp384r1/],
    ['test-only-rsa-key.pem', /^provider-key-invalid: .*this one is RSA 2048/],
    ['test-only-public-key.pem', /^provider-key-invalid: .*public key/],
    ['test-only-rsa-cert.pem', /^provider-key-invalid: .*certificate/],
    ['README.md', /^format-unknown: /],
  ])('%s is no provider key', async (name, expected) => {
    expect(await problemOf({ p8: fixture(name), ...ids })).toMatch(expected);
  });

  test('ids of a wrong form are named', async () => {
    const p8 = await file('AuthKey_2.p8', certificates.providerKey.p8);
    expect(await problemOf({ p8, keyId: 'short', teamId: 'TEAM123456' })).toMatch(
      /^provider-ids-invalid: .*keyId must be 10 characters.*"short"/,
    );
    expect(await problemOf({ p8, keyId: 'KEY1234567', teamId: 'team123456' })).toMatch(
      /^provider-ids-invalid: .*teamId/,
    );
  });
});

describe('files and passphrases', () => {
  test('a missing file, a folder and a huge file are told apart', async () => {
    const p12 = join(folder, 'nowhere.p12');
    expect(await problemOf({ p12 })).toBe(`file-missing: There is no file ${p12}`);
    expect(await problemOf({ p12: folder })).toMatch(/^file-unreadable: .*is a folder/);
    const huge = await file('huge.p12', Buffer.alloc(1_048_577));
    expect(await problemOf({ p12: huge })).toMatch(/^file-too-large: .*1048577 bytes/);
  });

  test.skipIf(process.getuid?.() === 0)('a file that may not be read says so', async () => {
    const p12 = await file('secret.p12', 'x');
    chmodSync(p12, 0o000);
    expect(await problemOf({ p12 })).toMatch(/^file-unreadable: .*EACCES/);
  });

  test('a passphrase file may end in a newline, and only that is cut off', async () => {
    const p12 = fixture('test-only-rc2-40.p12');
    for (const content of ['geheim', 'geheim\n', 'geheim\r\n']) {
      expect((await load({ p12, passphrase: { file: await file('pass', content) } })).kind).toBe(
        'certificate',
      );
    }
    expect(await problemOf({ p12, passphrase: { file: await file('pass', 'geheim \n') } })).toMatch(
      /^passphrase-wrong/,
    );
  });

  test('a passphrase that is not where it should be is named', async () => {
    const p12 = fixture('test-only-rc2-40.p12');
    expect(await problemOf({ p12, passphrase: { env: 'NOT_SET' } })).toMatch(
      /^passphrase-unavailable: .*environment variable NOT_SET/,
    );
    expect(await problemOf({ p12, passphrase: { file: join(folder, 'none') } })).toMatch(
      /^passphrase-unavailable: .*There is no file/,
    );
  });
});

describe('secrets', () => {
  test('a credential shows, serialises and copies without its private key', async () => {
    const certificate = await load({ p12: fixture('test-only-rc2-40.p12'), passphrase });
    const p8 = await file('AuthKey_3.p8', certificates.providerKey.p8);
    const token = await loadCredential({ p8, keyId: 'KEY1234567', teamId: 'TEAM123456' });
    for (const credential of [certificate, token]) {
      const views = [
        inspect(credential, { showHidden: true, depth: 10, getters: true }),
        JSON.stringify(credential),
        JSON.stringify({ ...credential }),
        JSON.stringify(structuredClone(credential)),
        `${credential}`,
      ];
      for (const view of views) expect(view).not.toMatch(/PRIVATE|MIIE|MIGH|geheim/);
      expect(views[1]).toContain(credential.kind);
    }
  });

  test('no error tells any part of a passphrase or a key', async () => {
    const errors = await Promise.all(
      [
        { p12: fixture('test-only-rc2-40.p12'), passphrase: wrong },
        { cert: rsaCert, key: fixture('test-only-rsa-key-pbes2.pem'), passphrase: wrong },
        { cert: rsaCert, key: fixture('test-only-rsa-key-traditional-aes.pem'), passphrase: wrong },
        { cert: rsaCert, key: fixture('test-only-ec-key-sec1.pem') },
      ].map((location) =>
        loadCredential(location, { environment }).then(
          () => expect.unreachable(),
          (error: unknown) => inspect(error, { depth: 10, showHidden: true }),
        ),
      ),
    );
    const keyText = fixtureText('test-only-ec-key-sec1.pem').split('\n')[1]!;
    for (const error of errors) {
      expect(error).not.toMatch(/falsch|geheim|BEGIN/);
      expect(error).not.toContain(keyText);
    }
  });
});
