import { X509Certificate } from 'node:crypto';
import {
  createTestCertificates,
  type TestCertificates,
  type TestIdentity,
} from '@pushfleet/testkit/certificates';
import { beforeAll, expect, test } from 'vitest';
import { readCertificateFacts } from '../src/certificate-facts.ts';
import { CertificateCredential, type CredentialUse, checkCredential, expiryThreshold } from '../src/index.ts';
import { fixtureText } from './fixture.ts';

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await createTestCertificates({ topic: 'com.example.shop' });
});

const shop: CredentialUse = { topic: 'com.example.shop', environment: 'production' };

function credentialOf(
  identity: Pick<TestIdentity, 'certificatePem' | 'privateKeyPem'>,
): CertificateCredential {
  return new CertificateCredential({
    certPem: identity.certificatePem,
    keyPem: identity.privateKeyPem,
    certificate: readCertificateFacts(new X509Certificate(identity.certificatePem)),
  });
}

function problems(credential: CertificateCredential, use: CredentialUse): string[] {
  return checkCredential(credential, use).map((problem) => `${problem.code}: ${problem.message}`);
}

test('a certificate for the topic and the environment fits', () => {
  expect(problems(credentialOf(certificates.production), shop)).toEqual([]);
  expect(problems(credentialOf(certificates.universal), { ...shop, environment: 'sandbox' })).toEqual([]);
  expect(problems(credentialOf(certificates.universal), { ...shop, topic: 'com.example.shop.voip' })).toEqual(
    [],
  );
});

test('another environment and another topic are both named at once', () => {
  expect(
    problems(credentialOf(certificates.production), { topic: 'com.example.news', environment: 'sandbox' }),
  ).toEqual([
    expect.stringMatching(/^environment-mismatch: .* is for production, the app for sandbox$/),
    expect.stringMatching(/^topic-not-covered: .*com\.example\.news: it covers com\.example\.shop$/),
  ]);
});

test('expired and not yet valid are told, to the millisecond', () => {
  const credential = credentialOf(certificates.production);
  const { notBefore, notAfter } = credential.certificate;
  const at = (nowMs: number): string[] => problems(credential, { ...shop, nowMs });
  expect(at(notBefore.getTime())).toEqual([]);
  expect(at(notAfter.getTime() - 1)).toEqual([]);
  expect(at(notAfter.getTime())).toEqual([
    expect.stringMatching(`^certificate-expired: .*expired at ${notAfter.toISOString()}`),
  ]);
  expect(at(notBefore.getTime() - 1)).toEqual([expect.stringMatching(/^certificate-not-yet-valid: .*clock/)]);
  expect(problems(credentialOf(certificates.expired), shop)).toEqual([
    expect.stringMatching(/^certificate-expired: /),
  ]);
});

test('what is no push certificate is refused with what it is', () => {
  const distribution = {
    certificatePem: fixtureText('test-only-distribution-cert.pem'),
    privateKeyPem: fixtureText('test-only-rsa-key.pem'),
  };
  expect(problems(credentialOf(distribution), shop)).toEqual([
    expect.stringMatching(/^not-a-push-certificate: .*"Apple Distribution: Example.*signs apps/),
  ]);
  expect(problems(credentialOf(certificates.plain), shop)).toEqual([
    expect.stringMatching(/^not-a-push-certificate: .*neither of the extensions/),
  ]);
});

test('the thresholds of expiry are reached exactly on their day', () => {
  const notAfter = new Date('2030-06-30T00:00:00Z');
  const thresholdAt = (date: string) => expiryThreshold(notAfter, Date.parse(date));
  expect(thresholdAt('2030-05-30T23:59:59.999Z')).toBeUndefined();
  expect(thresholdAt('2030-05-31T00:00:00Z')).toBe(30);
  expect(thresholdAt('2030-06-16T00:00:00Z')).toBe(14);
  expect(thresholdAt('2030-06-22T23:59:59Z')).toBe(14);
  expect(thresholdAt('2030-06-23T00:00:00Z')).toBe(7);
  expect(thresholdAt('2030-06-29T00:00:00Z')).toBe(1);
  expect(thresholdAt('2030-06-30T00:00:00Z')).toBe(0);
  expect(thresholdAt('2031-01-01T00:00:00Z')).toBe(0);
});
