import {
  type ApnsEnvironment,
  type CertificateFacts,
  CredentialError,
  type CredentialErrorCode,
  type CredentialLocation,
  checkCredential,
  daysLeft,
  type ExpiryThreshold,
  expiryThreshold,
  loadCertificate,
  loadCredential,
} from '@pushfleet/apns-credentials';

/** What a certificate or a key is and is good for. Holds nothing secret. */
export type Inspection = CertificateInspection | ProviderKeyInspection;

interface CommonFacts {
  /** What speaks against using it; empty: nothing. */
  readonly problems: readonly CredentialProblem[];
  readonly usableFor: UsableFor;
}

export interface CertificateInspection extends CommonFacts {
  readonly kind: 'certificate';
  /** Absent: a certificate alone, such as Apple's `aps.cer`. */
  readonly privateKey: 'present' | 'absent';
  readonly certificate: CertificateFacts;
  /** Until it expires; negative afterwards. */
  readonly daysLeft: number;
  /** The last of the warnings that is due: 30, 14, 7, 1 days before, 0: expired. */
  readonly expiryWarningDays: ExpiryThreshold | null;
}

export interface ProviderKeyInspection extends CommonFacts {
  readonly kind: 'token';
  readonly keyId: string;
  readonly teamId: string;
  readonly sha256Fingerprint: string;
}

interface CredentialProblem {
  readonly code: CredentialErrorCode;
  readonly message: string;
}

interface UsableFor {
  readonly transports: readonly ('binary' | 'http2')[];
  readonly environments: readonly ApnsEnvironment[];
  /** `*`: every topic of the team. */
  readonly topics: readonly { readonly topic: string; readonly pushTypes: readonly string[] }[];
}

/** The app that somebody asks about; each part may be left open. */
export interface IntendedUse {
  readonly topic?: string | undefined;
  readonly environment?: ApnsEnvironment | undefined;
}

/** @throws CredentialError where it cannot be read */
export async function inspectCredential(
  location: CredentialLocation,
  env: NodeJS.ProcessEnv,
  use: IntendedUse = {},
): Promise<Inspection> {
  if ('cert' in location && location.key === undefined) {
    const { certificate } = await loadCertificate(location.cert);
    const privateKey = await hasKey(location, env);
    return certificateInspection(certificate, privateKey ? 'present' : 'absent', use);
  }
  const credential = await loadCredential(location, { environment: env });
  if (credential.kind === 'certificate') return certificateInspection(credential.certificate, 'present', use);
  const { keyId, teamId, sha256Fingerprint } = credential;
  return {
    kind: 'token',
    ...{ keyId, teamId, sha256Fingerprint },
    problems: [],
    usableFor: {
      transports: ['http2'],
      environments: ['production', 'sandbox'],
      topics: [{ topic: '*', pushTypes: ['all'] }],
    },
  };
}

/** Whether the certificate's own file holds its key too. */
async function hasKey(location: CredentialLocation, env: NodeJS.ProcessEnv): Promise<boolean> {
  try {
    await loadCredential(location, { environment: env });
    return true;
  } catch (error) {
    if (error instanceof CredentialError && error.code === 'key-missing') return false;
    throw error;
  }
}

function certificateInspection(
  certificate: CertificateFacts,
  privateKey: 'present' | 'absent',
  use: IntendedUse,
): CertificateInspection {
  const problems = checkCertificate(certificate, use).map(({ code, message }) => ({ code, message }));
  const isSound = certificate.purpose === 'push';
  return {
    kind: 'certificate',
    privateKey,
    certificate,
    daysLeft: Math.floor(daysLeft(certificate.notAfter)),
    expiryWarningDays: expiryThreshold(certificate.notAfter) ?? null,
    problems,
    usableFor: {
      transports: isSound ? ['binary', 'http2'] : [],
      environments: certificate.environments,
      topics: isSound
        ? certificate.topics.map(({ topic, kinds }) => ({ topic, pushTypes: kinds.flatMap(pushTypesOf) }))
        : [],
    },
  };
}

function checkCertificate(certificate: CertificateFacts, use: IntendedUse): CredentialError[] {
  // What is left open is filled in with what fits.
  const environment = use.environment ?? certificate.environments[0] ?? 'production';
  const topic = use.topic ?? certificate.defaultTopic ?? certificate.topics[0]?.topic ?? '';
  return checkCredential({ kind: 'certificate', certificate }, { environment, topic });
}

/** The push types (`docs/protocol/http2.md#push-types`) that a kind of a certificate's topic list is for. */
function pushTypesOf(kind: string): readonly string[] {
  return kind === 'app' ? ['alert', 'background'] : [kind];
}
