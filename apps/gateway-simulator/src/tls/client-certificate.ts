import type { X509Certificate } from 'node:crypto';

// What the gateways read from a client certificate. The simulator has a reader of its own, so that it does not share
// the one of the code that it judges.

/** Which gateway a certificate must be for; `any`: for one of the two. */
export type GatewayEnvironment = 'production' | 'sandbox' | 'any';

export interface ClientCertificate {
  /** Default topic: the UID of the subject. */
  readonly topic: string;
  /** Those of the extension that lists topics; none without it. */
  readonly topics: readonly string[];
  readonly production: boolean;
  /** Apple's word in certificates is "development". */
  readonly sandbox: boolean;
}

/** An extension's id as it stands in the certificate: tag 06, length, 1.2.840.113635.100.6.3.n. */
function extensionId(number: number): Buffer {
  return Buffer.from(`060a2a864886f763640603${number.toString(16).padStart(2, '0')}`, 'hex');
}

// As random bytes they come once in 2^96, so that no reader of the whole certificate is needed to find them.
const developmentExtension = extensionId(1);
const productionExtension = extensionId(2);
const topicsExtension = extensionId(6);

const octetStringTag = 0x04;
const booleanTag = 0x01;
const utf8StringTag = 0x0c;

/** Undefined for a certificate without a topic, which is none for pushes. */
export function readClientCertificate(certificate: X509Certificate): ClientCertificate | undefined {
  const { raw, subject } = certificate;
  const topic = /^UID=(.+)$/m.exec(subject)?.[1];
  if (topic === undefined) return undefined;
  return {
    topic,
    topics: readTopics(raw),
    production: raw.includes(productionExtension),
    sandbox: raw.includes(developmentExtension),
  };
}

export function isForEnvironment(certificate: ClientCertificate, environment: GatewayEnvironment): boolean {
  if (environment === 'any') return certificate.production || certificate.sandbox;
  return certificate[environment];
}

/** OCTET STRING { SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind … }, … } }, after the id and perhaps BOOLEAN. */
function readTopics(raw: Buffer): string[] {
  const at = raw.indexOf(topicsExtension);
  if (at < 0) return [];
  let value = readValue(raw, at + topicsExtension.length);
  if (value.tag === booleanTag) value = readValue(raw, value.end);
  if (value.tag !== octetStringTag) return [];
  const list = readValue(raw, value.start);
  const topics: string[] = [];
  for (let next = list.start; next < list.end; ) {
    const entry = readValue(raw, next);
    if (entry.tag === utf8StringTag) topics.push(raw.toString('utf8', entry.start, entry.end));
    next = entry.end;
  }
  return topics;
}

/** A value in DER: its tag, and where its content is. */
function readValue(raw: Buffer, at: number): { tag: number; start: number; end: number } {
  const first = raw[at + 1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const length = lengthBytes === 0 ? first : raw.readUIntBE(at + 2, lengthBytes);
  const start = at + 2 + lengthBytes;
  return { tag: raw[at] ?? 0, start, end: start + length };
}
