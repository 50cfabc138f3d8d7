import type { ApnsEnvironment, CertificateFacts } from './certificate-facts.ts';
import type { TokenCredential } from './credential.ts';
import { CredentialError } from './errors.ts';

export interface CredentialUse {
  readonly topic: string;
  readonly environment: ApnsEnvironment;
  /** Epoch milliseconds; now by default. */
  readonly nowMs?: number;
}

/** A certificate can be judged without its key. */
export interface CertificateAlone {
  readonly kind: 'certificate';
  readonly certificate: CertificateFacts;
}

/**
 * What speaks against using a credential for an app: every reason at once, and none where it fits. A provider key
 * fits every topic of its team in both environments, as far as can be known here.
 */
export function checkCredential(
  credential: Pick<TokenCredential, 'kind'> | CertificateAlone,
  use: CredentialUse,
): CredentialError[] {
  if (credential.kind === 'token') return [];
  const facts = credential.certificate;
  if (facts.purpose !== 'push') return [notAPushCertificate(facts)];
  return [
    ...checkValidity(facts, use.nowMs ?? Date.now()),
    ...checkEnvironment(facts, use.environment),
    ...checkTopic(facts, use.topic),
  ];
}

function notAPushCertificate(facts: CertificateFacts): CredentialError {
  const what = {
    'code-signing': 'signs apps (a Development, Distribution or Developer ID certificate)',
    authority: "is an authority's own",
    other: 'carries neither of the extensions that Apple puts into push certificates',
    push: '',
  }[facts.purpose];
  return new CredentialError(
    'not-a-push-certificate',
    `The certificate "${facts.commonName}" ${what}: create one for the Apple Push Notification service`,
  );
}

function checkValidity(facts: CertificateFacts, nowMs: number): CredentialError[] {
  if (nowMs >= facts.notAfter.getTime())
    return [
      new CredentialError(
        'certificate-expired',
        `The certificate "${facts.commonName}" expired at ${facts.notAfter.toISOString()}`,
      ),
    ];
  if (nowMs < facts.notBefore.getTime())
    return [
      new CredentialError(
        'certificate-not-yet-valid',
        `The certificate "${facts.commonName}" is valid from ${facts.notBefore.toISOString()} on only; ` +
          'or is the clock of this machine wrong?',
      ),
    ];
  return [];
}

function checkEnvironment(facts: CertificateFacts, environment: ApnsEnvironment): CredentialError[] {
  if (facts.environments.includes(environment)) return [];
  return [
    new CredentialError(
      'environment-mismatch',
      `The certificate "${facts.commonName}" is for ${facts.environments.join(' and ')}, the app for ${environment}`,
    ),
  ];
}

function checkTopic(facts: CertificateFacts, topic: string): CredentialError[] {
  if (facts.topics.some((entry) => entry.topic === topic) || facts.defaultTopic === topic) return [];
  const topics = new Set([facts.defaultTopic, ...facts.topics.map((entry) => entry.topic)]);
  const list = [...topics].filter((entry) => entry !== undefined).join(', ');
  return [
    new CredentialError(
      'topic-not-covered',
      `The certificate "${facts.commonName}" does not cover the topic ${topic}: it covers ${list || 'none'}`,
    ),
  ];
}
