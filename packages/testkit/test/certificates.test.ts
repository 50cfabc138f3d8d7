import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import forge from 'node-forge';
import { beforeAll, expect, test } from 'vitest';
import {
  createTestCertificates,
  TestAuthority,
  type TestCertificates,
  type TestIdentity,
} from '../src/certificates.ts';

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await createTestCertificates({ topic: 'com.example.shop' });
});

/** Connects with a client certificate and says what the server makes of it. */
async function handshake(client: TestIdentity): Promise<string> {
  const { server, authority } = certificates;
  const listener = createServer({
    cert: server.certificatePem,
    key: server.privateKeyPem,
    ca: authority.certificatePem,
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: authority.certificatePem,
    cert: client.certificatePem,
    key: client.privateKeyPem,
  });
  try {
    const [[accepted]] = await Promise.all([
      once(listener, 'secureConnection') as Promise<[TLSSocket]>,
      once(socket, 'secureConnect'),
    ]);
    const answer = accepted.authorized ? 'authorized' : String(accepted.authorizationError);
    accepted.destroy();
    return answer;
  } finally {
    socket.destroy();
    listener.close();
  }
}

function extensionOf(identity: TestIdentity, id: string): Buffer | undefined {
  const parsed = forge.pki.certificateFromPem(identity.certificatePem);
  const extension = parsed.getExtension({ id } as never) as { value: string } | null;
  return extension === null ? undefined : Buffer.from(extension.value, 'binary');
}

test('an authority that was kept signs more that are trusted', async () => {
  const { certificatePem, privateKeyPem } = certificates.authority;
  const kept = TestAuthority.load(certificatePem, privateKeyPem);
  expect(await handshake(await kept.issueApnsCertificate({ topic: 'com.example.news' }))).toBe('authorized');
});

test('client and server certificates make a trusted handshake', async () => {
  expect(await handshake(certificates.development)).toBe('authorized');
  expect(await handshake(certificates.production)).toBe('authorized');
  expect(await handshake(certificates.universal)).toBe('authorized');
  expect(await handshake(certificates.plain)).toBe('authorized');
});

test('an expired certificate and one of a foreign authority are told apart', async () => {
  expect(await handshake(certificates.expired)).toBe('CERT_HAS_EXPIRED');
  expect(await handshake(certificates.foreign)).toMatch(
    /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT/,
  );
});

test('push certificates carry the extension of their environment, NULL', () => {
  const null_ = Buffer.from([0x05, 0x00]);
  const { development, production, universal, plain } = certificates;
  const markers = [development, production, universal, plain].map((identity) => [
    extensionOf(identity, '1.2.840.113635.100.6.3.1'),
    extensionOf(identity, '1.2.840.113635.100.6.3.2'),
  ]);
  expect(markers).toEqual([
    [null_, undefined],
    [undefined, null_],
    [null_, null_],
    [undefined, undefined],
  ]);
});

test('the topic list alternates topics and kinds', async () => {
  const identity = await certificates.authority.issueApnsCertificate({
    topic: 'a.b',
    topics: [
      { topic: 'a.b', kinds: ['app'] },
      { topic: 'a.b.voip', kinds: ['voip', 'x'] },
    ],
  });
  const golden = [
    ...[0x30, 5 + 7 + 10 + 11], // SEQUENCE
    ...[0x0c, 0x03, ...Buffer.from('a.b')], // UTF8String
    ...[0x30, 0x05, 0x0c, 0x03, ...Buffer.from('app')],
    ...[0x0c, 0x08, ...Buffer.from('a.b.voip')],
    ...[0x30, 0x09, 0x0c, 0x04, ...Buffer.from('voip'), 0x0c, 0x01, ...Buffer.from('x')],
  ];
  expect(extensionOf(identity, '1.2.840.113635.100.6.3.6')?.toString('hex')).toBe(
    Buffer.from(golden).toString('hex'),
  );
});

test('the subject names the topic as UID and in the common name', () => {
  expect(certificates.production.x509.subject).toContain(
    'UID=com.example.shop\nCN=Apple Push Services: com.example.shop',
  );
  expect(certificates.development.x509.subject).toContain(
    'CN=Apple Development IOS Push Services: com.example.shop',
  );
  expect(new X509Certificate(certificates.production.certificateDer).subject).toBe(
    certificates.production.x509.subject,
  );
});

test("the mismatched identity has a key that is not the certificate's", () => {
  const { mismatched, production } = certificates;
  expect(mismatched.x509.checkPrivateKey(createPrivateKey(mismatched.privateKeyPem))).toBe(false);
  expect(production.x509.checkPrivateKey(createPrivateKey(production.privateKeyPem))).toBe(true);
});

test('a .p12 with AES opens in Node with its passphrase only', () => {
  const pfx = certificates.production.toPkcs12({ passphrase: 'open sesame' });
  expect(() => createSecureContext({ pfx, passphrase: 'open sesame' })).not.toThrow();
  expect(() => createSecureContext({ pfx, passphrase: 'wrong' })).toThrow(/mac verify failure/);
});

test('a .p12 as Keychain writes it is refused by Node and read by node-forge', () => {
  const { production, authority } = certificates;
  const pfx = production.toPkcs12({
    passphrase: 'geheim',
    encryption: 'legacy',
    friendlyName: 'Push',
    withAuthority: true,
  });
  expect(() => createSecureContext({ pfx, passphrase: 'geheim' })).toThrow(/unsupported/i);

  // pbeWithSHAAnd40BitRC2-CBC and pbeWithSHAAnd3-KeyTripleDES-CBC, as DER.
  expect(pfx.includes(Buffer.from('060a2a864886f70d010c0106', 'hex'))).toBe(true);
  expect(pfx.includes(Buffer.from('060a2a864886f70d010c0103', 'hex'))).toBe(true);

  const read = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(pfx.toString('binary')), 'geheim');
  const { certBag, pkcs8ShroudedKeyBag } = forge.pki.oids;
  const certs = read
    .getBags({ bagType: certBag! })
    [certBag!]!.map((bag) => forge.pki.certificateToPem(bag.cert!));
  expect(certs).toEqual([production.certificatePem, authority.certificatePem]);
  const [keyBag] = read.getBags({ bagType: pkcs8ShroudedKeyBag! })[pkcs8ShroudedKeyBag!]!;
  expect((keyBag!.key as forge.pki.rsa.PrivateKey).n.toString(16)).toBe(
    (forge.pki.privateKeyFromPem(production.privateKeyPem) as forge.pki.rsa.PrivateKey).n.toString(16),
  );
});

test('a provider key signs ES256', () => {
  const { providerKey } = certificates;
  const message = Buffer.from('header.claims');
  const signature = sign('sha256', message, providerKey.p8);
  expect(verify('sha256', message, providerKey.publicKeyPem, signature)).toBe(true);
  expect(createPrivateKey(providerKey.p8).asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
});
