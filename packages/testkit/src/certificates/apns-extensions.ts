import forge from 'node-forge';

const { asn1 } = forge;

// The extensions of Apple's push certificates (`docs/protocol/certificates.md#extensions`).

export const apnsOids = {
  development: '1.2.840.113635.100.6.3.1',
  production: '1.2.840.113635.100.6.3.2',
  voip: '1.2.840.113635.100.6.3.4',
  topics: '1.2.840.113635.100.6.3.6',
} as const;

/** One entry of the topic list: a topic and what it may be used for, such as `app`, `voip`, `complication`. */
export interface CertificateTopic {
  readonly topic: string;
  readonly kinds: readonly string[];
}

interface Extension {
  readonly id: string;
  readonly value: forge.asn1.Asn1 | string;
}

/** A marker: its presence is the message, its value is NULL. */
export function markerExtension(id: string): Extension {
  return { id, value: asn1.create(asn1.Class.UNIVERSAL, asn1.Type.NULL, false, '') };
}

/** A SEQUENCE alternating a UTF8String topic and a SEQUENCE of UTF8String kinds. */
export function topicsExtension(topics: readonly CertificateTopic[]): Extension {
  return {
    id: apnsOids.topics,
    value: sequence(
      topics.flatMap(({ topic, kinds }) => [
        utf8String(topic),
        sequence(kinds.map((kind) => utf8String(kind))),
      ]),
    ),
  };
}

function sequence(items: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, items);
}

function utf8String(text: string): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.UTF8, false, forge.util.encodeUtf8(text));
}
