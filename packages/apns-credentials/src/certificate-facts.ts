import type { X509Certificate } from 'node:crypto';
import { type DerValue, derTag, oidText, readDerSequence, readDerValues } from './der.ts';
import { CredentialError } from './errors.ts';

/** What an app's configuration calls its environment. Apple's certificates say "development" for the sandbox. */
export type ApnsEnvironment = 'production' | 'sandbox';

/** One entry of a certificate's topic list (`docs/protocol/certificates.md#extensions`). */
export interface CertificateTopic {
  readonly topic: string;
  /** `app`, `voip`, `complication`; another word is passed on as it stands. */
  readonly kinds: readonly string[];
}

export type CertificatePurpose =
  /** Carries an environment extension: a gateway takes it. */
  | 'push'
  /** Apple Development, Apple Distribution, Developer ID: signs apps, and opens no gateway. */
  | 'code-signing'
  /** An authority's own, such as Apple's WWDR intermediate. */
  | 'authority'
  | 'other';

/** What can be read from a push certificate. Holds nothing secret. */
export interface CertificateFacts {
  readonly purpose: CertificatePurpose;
  readonly commonName: string;
  readonly issuer: string;
  /** Empty: no push certificate. Both: a universal one. */
  readonly environments: readonly ApnsEnvironment[];
  /** The Subject's UID: what the gateway assumes where no topic is named. */
  readonly defaultTopic: string | undefined;
  /** From the topic list; without one, the default topic. */
  readonly topics: readonly CertificateTopic[];
  readonly voip: boolean;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Of the whole certificate, 64 lower-case hex digits. */
  readonly sha256Fingerprint: string;
  /** Upper-case hex. */
  readonly serialNumber: string;
  /** Such as `RSA 2048` or `EC prime256v1`. */
  readonly keyType: string;
}

/** `docs/protocol/certificates.md#extensions`. */
const oids = {
  sandbox: '1.2.840.113635.100.6.3.1',
  production: '1.2.840.113635.100.6.3.2',
  voip: '1.2.840.113635.100.6.3.4',
  topics: '1.2.840.113635.100.6.3.6',
  /** Apple's certificates for signing software carry an extension under this arc. */
  appleSigning: '1.2.840.113635.100.6.1.',
  codeSigningUsage: '1.3.6.1.5.5.7.3.3',
} as const;

/** @throws CredentialError `malformed`, where the topic list cannot be read */
export function readCertificateFacts(certificate: X509Certificate): CertificateFacts {
  const extensions = readExtensions(certificate.raw);
  const environments = (['production', 'sandbox'] as const).filter((name) => extensions.has(oids[name]));
  const subject = namesOf(certificate.toLegacyObject().subject);
  const issuer = namesOf(certificate.toLegacyObject().issuer);
  const defaultTopic = subject.get('UID');
  const voip = extensions.has(oids.voip);
  const topicList = extensions.get(oids.topics);
  return {
    purpose: purposeOf(certificate, environments, extensions),
    commonName: subject.get('CN') ?? '',
    issuer: issuer.get('CN') ?? issuer.get('O') ?? '',
    environments,
    defaultTopic,
    topics:
      topicList === undefined ? defaultTopics(defaultTopic, environments, voip) : readTopicList(topicList),
    voip,
    notBefore: new Date(certificate.validFromDate),
    notAfter: new Date(certificate.validToDate),
    sha256Fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    serialNumber: certificate.serialNumber,
    keyType: keyTypeOf(certificate),
  };
}

function defaultTopics(
  topic: string | undefined,
  environments: readonly ApnsEnvironment[],
  voip: boolean,
): CertificateTopic[] {
  if (topic === undefined || environments.length === 0) return [];
  return [{ topic, kinds: [voip ? 'voip' : 'app'] }];
}

/** By dotted object identifier: the bytes inside the extension's OCTET STRING (RFC 5280 section 4.1). */
function readExtensions(certificate: Buffer): ReadonlyMap<string, Buffer> {
  const [tbs] = readDerSequence(certificate);
  const wrapper = tbs && readDerValues(tbs.content).find((field) => field.tag === derTag.context3);
  const extensions = new Map<string, Buffer>();
  if (wrapper === undefined) return extensions;
  for (const extension of readDerSequence(wrapper.content)) {
    const parts = readDerValues(extension.content);
    const id = parts.find((part) => part.tag === derTag.oid);
    const value = parts.find((part) => part.tag === derTag.octetString);
    if (id !== undefined && value !== undefined) extensions.set(oidText(id.content), value.content);
  }
  return extensions;
}

/**
 * A SEQUENCE alternating a UTF8String topic and a SEQUENCE of UTF8String kinds
 * (`docs/protocol/certificates.md#extensions`).
 */
function readTopicList(extension: Buffer): CertificateTopic[] {
  const [list] = readDerValues(extension);
  if (list?.tag !== derTag.sequence) throw malformedTopicList();
  const items = readDerValues(list.content);
  const topics: CertificateTopic[] = [];
  for (let index = 0; index < items.length; index += 2) {
    const kinds = items[index + 1];
    if (kinds?.tag !== derTag.sequence) throw malformedTopicList();
    topics.push({ topic: textOf(items[index]), kinds: readDerValues(kinds.content).map(textOf) });
  }
  return topics;
}

function textOf(value: DerValue | undefined): string {
  if (value?.tag !== derTag.utf8String) throw malformedTopicList();
  return value.content.toString('utf8');
}

function malformedTopicList(): CredentialError {
  return new CredentialError(
    'malformed',
    `The certificate's topic list (extension ${oids.topics}) is not a SEQUENCE of topics and kinds`,
  );
}

function purposeOf(
  certificate: X509Certificate,
  environments: readonly ApnsEnvironment[],
  extensions: ReadonlyMap<string, Buffer>,
): CertificatePurpose {
  if (environments.length > 0) return 'push';
  if (certificate.ca) return 'authority';
  const signsCode =
    certificate.keyUsage?.includes(oids.codeSigningUsage) === true ||
    [...extensions.keys()].some((id) => id.startsWith(oids.appleSigning));
  return signsCode ? 'code-signing' : 'other';
}

/** The last value counts where a name has several: the most specific one. */
function namesOf(name: unknown): ReadonlyMap<string, string> {
  if (typeof name !== 'object' || name === null) return new Map();
  return new Map(
    Object.entries(name).map(([key, value]) => [key, String(Array.isArray(value) ? value.at(-1) : value)]),
  );
}

function keyTypeOf(certificate: X509Certificate): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const detail = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength;
  const name = (asymmetricKeyType ?? 'unknown').toUpperCase();
  return detail === undefined ? name : `${name} ${detail}`;
}
