import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';

export interface ProviderTokenClaims {
  /** The `.p8` file's key: EC, P-256. */
  readonly key: KeyObject;
  /** 10 characters. */
  readonly keyId: string;
  /** 10 characters. */
  readonly teamId: string;
  /** When it counts as issued, epoch milliseconds. */
  readonly issuedAtMs: number;
}

/**
 * A provider token (`docs/protocol/http2.md#provider-token`): ES256, `kid`, `iss`, `iat`. Good for an hour from its
 * time of issue.
 */
export function signProviderToken(claims: ProviderTokenClaims): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: claims.keyId })
    .setIssuer(claims.teamId)
    .setIssuedAt(Math.floor(claims.issuedAtMs / 1_000))
    .sign(claims.key);
}
