import forge from 'node-forge';

const { asn1, pkcs12, pki } = forge;

// node-forge writes the certificates of a PKCS #12 file in the clear. Keychain encrypts them with RC2 at 40 bits
// (pbeWithSHAAnd40BitRC2-CBC, RFC 7292 appendix C), and that is what readers trip over: so the part is encrypted
// here, and the integrity code computed anew over the result.

const iterations = 2_048;
/** The purposes of RFC 7292 appendix B.3 for which keys are derived. */
const derivationId = { key: 1, iv: 2, mac: 3 } as const;
const rc2KeyBytes = 5;
const rc2IvBytes = 8;
const sha1Bytes = 20;

/** @param pfx As node-forge made it: the content of the certificates first, then that of the key. */
export function encryptCertificates(pfx: forge.asn1.Asn1, passphrase: string): forge.asn1.Asn1 {
  const [version, authenticatedSafe] = children(pfx);
  if (version === undefined || authenticatedSafe === undefined)
    throw new TypeError('This is no PKCS #12 file');
  const [certificates, ...others] = children(asn1.fromDer(dataOf(authenticatedSafe)));
  if (certificates === undefined) throw new TypeError('The PKCS #12 file has no content');
  const safe = asn1.toDer(sequence([encryptedData(dataOf(certificates), passphrase), ...others])).getBytes();
  return sequence([version, data(safe), macData(safe, passphrase)]);
}

function encryptedData(plain: string, passphrase: string): forge.asn1.Asn1 {
  const salt = forge.random.getBytesSync(8);
  const cipher = forge.rc2.createEncryptionCipher(
    deriveKey(passphrase, salt, derivationId.key, rc2KeyBytes),
    // The effective key length, in bits.
    rc2KeyBytes * 8,
  );
  cipher.start(deriveKey(passphrase, salt, derivationId.iv, rc2IvBytes));
  cipher.update(forge.util.createBuffer(plain));
  cipher.finish();
  const algorithm = sequence([
    oid('1.2.840.113549.1.12.1.6'), // pbeWithSHAAnd40BitRC2-CBC
    sequence([octetString(salt), integer(iterations)]),
  ]);
  const encrypted = asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, false, cipher.output.getBytes());
  return sequence([
    oid(pki.oids.encryptedData!),
    explicit([sequence([integer(0), sequence([oid(pki.oids.data!), algorithm, encrypted])])]),
  ]);
}

function macData(safe: string, passphrase: string): forge.asn1.Asn1 {
  const salt = forge.random.getBytesSync(8);
  const mac = forge.hmac.create();
  mac.start('sha1', deriveKey(passphrase, salt, derivationId.mac, sha1Bytes));
  mac.update(safe);
  const sha1 = sequence([oid(pki.oids.sha1!), asn1.create(asn1.Class.UNIVERSAL, asn1.Type.NULL, false, '')]);
  return sequence([
    sequence([sha1, octetString(mac.getMac().getBytes())]),
    octetString(salt),
    integer(iterations),
  ]);
}

function deriveKey(
  passphrase: string,
  salt: string,
  purpose: 1 | 2 | 3,
  bytes: number,
): forge.util.ByteBuffer {
  return pkcs12.generateKey(passphrase, forge.util.createBuffer(salt), purpose, iterations, bytes) as never;
}

/** The bytes inside a ContentInfo of type data. */
function dataOf(contentInfo: forge.asn1.Asn1): string {
  const [, content] = children(contentInfo);
  const [octets] = content === undefined ? [] : children(content);
  if (typeof octets?.value !== 'string') throw new TypeError('The PKCS #12 content is not of type data');
  return octets.value;
}

function data(bytes: string): forge.asn1.Asn1 {
  return sequence([oid(pki.oids.data!), explicit([octetString(bytes)])]);
}

function children(node: forge.asn1.Asn1): forge.asn1.Asn1[] {
  return Array.isArray(node.value) ? node.value : [];
}

function sequence(items: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, items);
}

function explicit(items: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, items);
}

function oid(dotted: string): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

function octetString(bytes: string): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, bytes);
}

function integer(value: number): forge.asn1.Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.INTEGER, false, asn1.integerToDer(value).getBytes());
}
