import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readCertificateFacts } from './certificate-facts.ts';
import { CredentialError } from './errors.ts';

export interface Identity {
  /** The certificate, then as many as are at hand of those that lead to its authority. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
  readonly key: KeyObject;
}

/**
 * Finds the push certificate and its key among all that an export holds. Of several for the same topic, as after a
 * renewal with the old key, the one that is valid the longest.
 *
 * @throws CredentialError `key-mismatch`, `several-identities`
 */
export function chooseIdentity(
  certificates: readonly X509Certificate[],
  keys: readonly KeyObject[],
): Identity {
  const pairs = certificates.flatMap((certificate) => {
    const key = keys.find((candidate) => certificate.checkPrivateKey(candidate));
    return key === undefined ? [] : [{ certificate, key, facts: readCertificateFacts(certificate) }];
  });
  const push = pairs.filter((pair) => pair.facts.purpose === 'push');
  const candidates = push.length > 0 ? push : pairs;
  const [best] = candidates.sort((a, b) => b.facts.notAfter.getTime() - a.facts.notAfter.getTime());
  if (best === undefined) throw mismatch(certificates, keys);
  const others = candidates.filter(
    ({ facts }) =>
      facts.defaultTopic !== best.facts.defaultTopic ||
      facts.environments.join() !== best.facts.environments.join(),
  );
  if (others.length > 0)
    throw new CredentialError(
      'several-identities',
      `There are several certificates with their keys in it: ${candidates
        .map(({ facts }) => `"${facts.commonName}"`)
        .join(', ')}. Export the one that is meant`,
    );
  return { chain: chainOf(best.certificate, certificates), key: best.key };
}

function chainOf(
  leaf: X509Certificate,
  certificates: readonly X509Certificate[],
): readonly [X509Certificate, ...X509Certificate[]] {
  const chain: [X509Certificate, ...X509Certificate[]] = [leaf];
  for (let current = leaf; chain.length <= certificates.length; ) {
    const issuer = certificates.find(
      (candidate) => !chain.includes(candidate) && current.checkIssued(candidate),
    );
    if (issuer === undefined) break;
    chain.push(issuer);
    current = issuer;
  }
  return chain;
}

function mismatch(certificates: readonly X509Certificate[], keys: readonly KeyObject[]): CredentialError {
  const names = certificates.map((certificate) => `"${readCertificateFacts(certificate).commonName}"`);
  const kinds = new Set(keys.map((key) => createPublicKey(key).asymmetricKeyType));
  const isOtherKind = certificates.every(
    (certificate) => !kinds.has(certificate.publicKey.asymmetricKeyType),
  );
  const hint = isOtherKind
    ? 'the key is even of another type'
    : 'the key is that of the signing request which Apple made the certificate of, on the machine that made it';
  return new CredentialError(
    'key-mismatch',
    `The private key does not belong to the certificate ${names.join(', ')}: ${hint}`,
  );
}
