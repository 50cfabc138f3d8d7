import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { apnsOids, type CertificateTopic, markerExtension, topicsExtension } from './apns-extensions.ts';
import { TestIdentity } from './test-identity.ts';

const generate = promisify(generateKeyPair);

const dayMs = 86_400_000;

export interface ValidityOptions {
  /** By default a day ago. */
  readonly notBefore?: Date;
  /** By default in a year. */
  readonly notAfter?: Date;
}

export interface ServerCertificateOptions extends ValidityOptions {
  /** DNS names; `localhost` by default. */
  readonly hosts?: readonly string[];
  /** IP addresses; `127.0.0.1` and `::1` by default. */
  readonly addresses?: readonly string[];
}

export interface ApnsCertificateOptions extends ValidityOptions {
  /** The bundle id: the Subject's UID, and in its common name. */
  readonly topic: string;
  /** Which environment extensions it carries; both make a universal certificate, none is no push certificate. */
  readonly environments?: readonly ('development' | 'production')[];
  /** The topic list; absent: no such extension. */
  readonly topics?: readonly CertificateTopic[];
  readonly voip?: boolean;
  /** `Apple Push Services: …` by default, `Apple Development IOS Push Services: …` for development alone. */
  readonly commonName?: string;
}

/**
 * A certificate authority for tests, which signs servers' certificates and push certificates as Apple's look
 * (`docs/protocol/certificates.md#extensions`).
 */
export class TestAuthority {
  readonly certificatePem: string;
  /** PKCS #8; with the certificate, `load` makes the same authority of it. */
  readonly privateKeyPem: string;
  readonly #key: forge.pki.rsa.PrivateKey;
  readonly #subject: forge.pki.CertificateField[];

  private constructor(certificate: forge.pki.Certificate, privateKeyPem: string) {
    this.certificatePem = forge.pki.certificateToPem(certificate);
    this.privateKeyPem = privateKeyPem;
    this.#key = forge.pki.privateKeyFromPem(privateKeyPem);
    this.#subject = certificate.subject.attributes;
  }

  /** An authority that was made before, to sign more. */
  static load(certificatePem: string, privateKeyPem: string): TestAuthority {
    return new TestAuthority(forge.pki.certificateFromPem(certificatePem), privateKeyPem);
  }

  static async create(options: ValidityOptions & { commonName?: string } = {}): Promise<TestAuthority> {
    const keys = await createRsaKeys();
    const certificate = createCertificate(keys, options);
    certificate.setSubject([
      { name: 'commonName', value: options.commonName ?? 'Pushfleet Test Authority' },
      { name: 'organizationName', value: 'Pushfleet tests' },
    ]);
    certificate.setIssuer(certificate.subject.attributes);
    certificate.setExtensions([
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      { name: 'subjectKeyIdentifier' },
    ]);
    certificate.sign(forge.pki.privateKeyFromPem(keys.privateKeyPem), forge.md.sha256.create());
    return new TestAuthority(certificate, keys.privateKeyPem);
  }

  /** A TLS server's certificate. */
  async issueServerCertificate(options: ServerCertificateOptions = {}): Promise<TestIdentity> {
    const hosts = options.hosts ?? ['localhost'];
    const addresses = options.addresses ?? ['127.0.0.1', '::1'];
    return this.#issue(
      options,
      [{ name: 'commonName', value: hosts[0] ?? addresses[0] ?? 'localhost' }],
      [
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            ...hosts.map((value) => ({ type: 2, value })),
            ...addresses.map((ip) => ({ type: 7, ip })),
          ],
        },
      ],
    );
  }

  /** A push certificate, for the gateway and for the feedback service alike. */
  async issueApnsCertificate(options: ApnsCertificateOptions): Promise<TestIdentity> {
    const environments = options.environments ?? ['production'];
    const isDevelopment = environments.includes('development') && !environments.includes('production');
    const commonName = isDevelopment ? 'Apple Development IOS Push Services' : 'Apple Push Services';
    const subject = [
      { type: '0.9.2342.19200300.100.1.1', value: options.topic },
      { name: 'commonName', value: options.commonName ?? `${commonName}: ${options.topic}` },
      { name: 'organizationalUnitName', value: 'TEAM123456' },
      { name: 'countryName', value: 'US' },
    ];
    return this.#issue(options, subject, [
      { name: 'extKeyUsage', clientAuth: true },
      ...environments.map((environment) => markerExtension(apnsOids[environment])),
      ...(options.voip === true ? [markerExtension(apnsOids.voip)] : []),
      ...(options.topics === undefined ? [] : [topicsExtension(options.topics)]),
    ]);
  }

  async #issue(
    validity: ValidityOptions,
    subject: forge.pki.CertificateField[],
    extensions: object[],
  ): Promise<TestIdentity> {
    const keys = await createRsaKeys();
    const certificate = createCertificate(keys, validity);
    certificate.setSubject(subject);
    certificate.setIssuer(this.#subject);
    certificate.setExtensions([
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
      ...extensions,
    ]);
    certificate.sign(this.#key, forge.md.sha256.create());
    return new TestIdentity(forge.pki.certificateToPem(certificate), keys.privateKeyPem, this.certificatePem);
  }
}

interface RsaKeys {
  readonly publicKeyPem: string;
  readonly privateKeyPem: string;
}

/** Node's own key generation: node-forge's takes seconds. */
async function createRsaKeys(): Promise<RsaKeys> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { publicKeyPem: publicKey, privateKeyPem: privateKey };
}

function createCertificate(keys: RsaKeys, { notBefore, notAfter }: ValidityOptions): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKeyPem);
  // Positive and at most 20 bytes (RFC 5280 section 4.1.2.2).
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
  certificate.validity.notBefore = notBefore ?? new Date(Date.now() - dayMs);
  certificate.validity.notAfter = notAfter ?? new Date(Date.now() + 365 * dayMs);
  return certificate;
}
