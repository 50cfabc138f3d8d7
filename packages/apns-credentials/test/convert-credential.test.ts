import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';
import forge from 'node-forge';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeDer, encodeOid, encodeUnsigned, oidText } from '../src/der.ts';
import {
  type CertificateCredential,
  keyToPem,
  loadCertificate,
  loadCredential,
  toJoinedPem,
  toPkcs12,
} from '../src/index.ts';
import { fixture, fixtureText } from './fixture.ts';

let certificates: TestCertificates;
let folder: string;
let credential: CertificateCredential;
beforeAll(async () => {
  [certificates, folder] = await Promise.all([
    createTestCertificates({ topic: 'com.example.shop' }),
    mkdtemp(join(tmpdir(), 'pushfleet-credentials-')),
  ]);
  const { bundlePem, authorityPem } = certificates.production;
  credential = await load({ cert: await file('ck.pem', bundlePem + authorityPem) });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(
  location: Parameters<typeof loadCredential>[0],
  passphrase = '',
): Promise<CertificateCredential> {
  const loaded = await loadCredential(location, { environment: { PASSPHRASE: passphrase } });
  if (loaded.kind !== 'certificate') throw new Error('A certificate was expected');
  return loaded;
}

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const fromEnv = { passphrase: { env: 'PASSPHRASE' } };

test('a .cer becomes PEM', async () => {
  const { certPem, certificate } = await loadCertificate(fixture('test-only-rsa-cert.cer'));
  expect(certPem).toBe(fixtureText('test-only-rsa-cert.pem'));
  expect(certificate.environments).toEqual(['production', 'sandbox']);
  await expect(loadCertificate(fixture('test-only-request.der'))).rejects.toThrow(/signing request/);
});

test('a key is written in the clear, or under AES-256, and opens again', async () => {
  expect(keyToPem(credential)).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  const encrypted = keyToPem(credential, 'größe€');
  expect(encrypted).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  const joined = await file('joined.pem', toJoinedPem(credential, 'größe€'));
  const again = await load({ cert: joined, ...fromEnv }, 'größe€');
  expect([again.certPem, again.keyPem]).toEqual([credential.certPem, credential.keyPem]);
});

test.each(['aes256', '3des'] as const)(
  'a .p12 written with %s opens again, with its chain',
  async (encryption) => {
    const p12 = await file('out.p12', await toPkcs12(credential, { passphrase: 'größe€', encryption }));
    const again = await load({ p12, ...fromEnv }, 'größe€');
    expect([again.certPem, again.keyPem]).toEqual([credential.certPem, credential.keyPem]);
  },
);

test.each(['aes256', '3des'] as const)(
  'Node and node-forge open a .p12 written with %s',
  async (encryption) => {
    const pfx = await toPkcs12(credential, { passphrase: 'geheim', encryption, friendlyName: 'Größe' });
    expect(() => createSecureContext({ pfx, passphrase: 'geheim' })).not.toThrow();
    expect(() => createSecureContext({ pfx, passphrase: 'falsch' })).toThrow(/mac verify failure/);
    const read = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(pfx.toString('latin1')), 'geheim');
    const [certificate] = read.getBags({ friendlyName: 'Größe' }).friendlyName ?? [];
    expect(certificate).toBeDefined();
  },
);

test('an EC key goes into a .p12 and comes out again', async () => {
  const ec = await load({
    cert: fixture('test-only-ec-cert.pem'),
    key: fixture('test-only-ec-key-sec1.pem'),
  });
  const p12 = await file('ec.p12', await toPkcs12(ec, { passphrase: 'geheim' }));
  const again = await load({ p12, ...fromEnv }, 'geheim');
  expect(createPrivateKey(again.keyPem).equals(createPrivateKey(ec.keyPem))).toBe(true);
});

test.skipIf(!hasOpenssl())('openssl reads both kinds of .p12, and says how they are encrypted', async () => {
  for (const [encryption, expected] of [
    ['aes256', /AES-256-CBC, Iteration 10000, PRF hmacWithSHA256/],
    ['3des', /pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048/],
  ] as const) {
    const p12 = await file('openssl.p12', await toPkcs12(credential, { passphrase: 'geheim', encryption }));
    const info = execFileSync(
      'sh',
      ['-c', 'openssl pkcs12 -in "$0" -info -nodes -passin env:PASSPHRASE 2>&1', p12],
      { env: { ...process.env, PASSPHRASE: 'geheim' }, encoding: 'utf8' },
    );
    expect(info).toMatch(expected);
    expect(info).toContain('friendlyName: Apple Push Services: com.example.shop');
    expect(new X509Certificate(info.slice(info.indexOf('-----BEGIN CERT'))).raw).toEqual(
      certificates.production.x509.raw,
    );
  }
});

function hasOpenssl(): boolean {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL 3');
  } catch {
    return false;
  }
}

test('DER is written as X.690 says', () => {
  // X.690 section 8.19.5: the example of an object identifier.
  expect(encodeOid('2.999.3').toString('hex')).toBe('883703');
  expect(oidText(Buffer.from('883703', 'hex'))).toBe('2.999.3');
  expect(encodeOid('1.2.840.113635.100.6.3.2').toString('hex')).toBe('2a864886f76364060302');
  expect(
    [0, 127, 128, 255, 256, 10_000, 2_147_483_647].map((value) => encodeUnsigned(value).toString('hex')),
  ).toEqual(['00', '7f', '0080', '00ff', '0100', '2710', '7fffffff']);
  expect(encodeDer(0x04, Buffer.alloc(127)).subarray(0, 2).toString('hex')).toBe('047f');
  expect(encodeDer(0x04, Buffer.alloc(128)).subarray(0, 3).toString('hex')).toBe('048180');
  expect(encodeDer(0x04, Buffer.alloc(65_536)).subarray(0, 5).toString('hex')).toBe('0483010000');
});
