import { X509Certificate } from 'node:crypto';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';
import { beforeAll, expect, test } from 'vitest';
import { readCertificateFacts } from '../src/certificate-facts.ts';
import { fixtureText } from './fixture.ts';

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await createTestCertificates({ topic: 'com.example.shop' });
});

test('the environment is told from the extensions, the sandbox being what Apple calls development', () => {
  const environments = (['development', 'production', 'universal', 'plain'] as const).map(
    (name) => readCertificateFacts(certificates[name].x509).environments,
  );
  expect(environments).toEqual([['sandbox'], ['production'], ['production', 'sandbox'], []]);
});

test('the topic list gives topics and their kinds', () => {
  expect(readCertificateFacts(certificates.universal.x509)).toMatchObject({
    purpose: 'push',
    commonName: 'Apple Push Services: com.example.shop',
    issuer: 'Pushfleet Test Authority',
    defaultTopic: 'com.example.shop',
    topics: [
      { topic: 'com.example.shop', kinds: ['app'] },
      { topic: 'com.example.shop.voip', kinds: ['voip'] },
      { topic: 'com.example.shop.complication', kinds: ['complication'] },
    ],
    voip: false,
    keyType: 'RSA 2048',
  });
});

test('without a topic list, the default topic is the only one', async () => {
  expect(readCertificateFacts(certificates.production.x509).topics).toEqual([
    { topic: 'com.example.shop', kinds: ['app'] },
  ]);
  const voip = await certificates.authority.issueApnsCertificate({
    topic: 'com.example.shop.voip',
    voip: true,
    commonName: 'VoIP Services: com.example.shop',
  });
  expect(readCertificateFacts(voip.x509)).toMatchObject({
    voip: true,
    topics: [{ topic: 'com.example.shop.voip', kinds: ['voip'] }],
  });
});

test('validity and fingerprint are those that OpenSSL tells', () => {
  const pem = fixtureText('test-only-rsa-cert.pem');
  const facts = readCertificateFacts(new X509Certificate(pem));
  const { validFrom, validTo, fingerprint256, serialNumber } = new X509Certificate(pem);
  expect(facts.notBefore).toEqual(new Date(validFrom));
  expect(facts.notAfter).toEqual(new Date(validTo));
  expect(facts.sha256Fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(fingerprint256.replaceAll(':', '').toLowerCase()).toBe(facts.sha256Fingerprint);
  expect(facts.serialNumber).toBe(serialNumber);
  expect(facts.keyType).toBe('RSA 2048');
  expect(readCertificateFacts(new X509Certificate(fixtureText('test-only-ec-cert.pem'))).keyType).toBe(
    'EC prime256v1',
  );
});

test('what is no push certificate is told apart by what it is for', () => {
  expect(readCertificateFacts(certificates.plain.x509).purpose).toBe('other');
  expect(readCertificateFacts(certificates.server.x509).purpose).toBe('other');
  expect(readCertificateFacts(new X509Certificate(certificates.authority.certificatePem)).purpose).toBe(
    'authority',
  );
  expect(
    readCertificateFacts(new X509Certificate(fixtureText('test-only-distribution-cert.pem'))).purpose,
  ).toBe('code-signing');
});

test('a topic list that is none is refused', () => {
  const certificate = new X509Certificate(fixtureText('test-only-bad-topics-cert.pem'));
  expect(() => readCertificateFacts(certificate)).toThrow(
    /topic list \(extension 1\.2\.840\.113635\.100\.6\.3\.6\)/,
  );
});
