import { type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import type { GatewayEnvironment } from '../tls/client-certificate.ts';
import type { Reason } from './reasons.ts';

/** A provider's public key that the gateway knows. */
export interface ProviderKey {
  readonly keyId: string;
  readonly teamId: string;
  readonly publicKey: KeyObject;
  /** Keys may be good for one environment only; absent: for both. */
  readonly environment?: 'production' | 'sandbox' | undefined;
}

export interface VerifiedToken {
  readonly keyId: string;
  readonly teamId: string;
}

export interface VerifierOptions {
  readonly keys: () => readonly ProviderKey[];
  readonly environment: GatewayEnvironment;
  /** A key's token must not change more often; 0: as often as it likes. Milliseconds. */
  readonly updateIntervalMs: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** `docs/protocol/http2.md#provider-token`. */
const longestAgeMs = 3_600_000;
/** How far ahead of ours a provider's clock may be. */
const clockSkewMs = 60_000;
/** Tokens remembered; an attacker must not fill the memory with tokens. */
const mostTokens = 10_000;

interface CheckedToken extends VerifiedToken {
  readonly issuedAtMs: number;
}

/**
 * Verifies provider tokens (`docs/protocol/http2.md#provider-token`): ES256 under a known key, its team, its age, and
 * that a fleet shares one: a token that is new within 20 minutes of the one before is refused. Older ones stay good
 * until they expire, since a fleet does not change over in one instant. Works in one turn, so that requests keep
 * their order.
 */
export class ProviderTokenVerifier {
  readonly #options: VerifierOptions;
  readonly #now: () => number;
  /** By the token itself: those whose signature was verified and that were accepted once. */
  readonly #accepted = new Map<string, CheckedToken>();
  /** By key id: when its last token was accepted for the first time. */
  readonly #updatedAtMs = new Map<string, number>();

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** @param authorization The header. */
  verify(authorization: string | undefined): VerifiedToken | Reason {
    // Apple: "the authorization header is missing or no provider token is specified".
    if (authorization === undefined || /^(?:bearer)? *$/i.test(authorization)) return 'MissingProviderToken';
    const [, jwt] = /^bearer +([^ ]+)$/i.exec(authorization) ?? [];
    if (jwt === undefined) return 'InvalidProviderToken';
    const known = this.#accepted.get(jwt);
    const token = known ?? this.#check(jwt);
    if (typeof token === 'string') return token;
    const nowMs = this.#now();
    if (nowMs - token.issuedAtMs > longestAgeMs) return 'ExpiredProviderToken';
    if (known === undefined && !this.#accept(jwt, token, nowMs)) return 'TooManyProviderTokenUpdates';
    return token;
  }

  /** Forgets the tokens it has seen. */
  reset(): void {
    this.#accepted.clear();
    this.#updatedAtMs.clear();
  }

  #accept(jwt: string, token: CheckedToken, nowMs: number): boolean {
    const updatedAtMs = this.#updatedAtMs.get(token.keyId) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - updatedAtMs < this.#options.updateIntervalMs) return false;
    this.#updatedAtMs.set(token.keyId, nowMs);
    if (this.#accepted.size >= mostTokens) this.#accepted.clear();
    this.#accepted.set(jwt, token);
    return true;
  }

  #check(jwt: string): CheckedToken | Reason {
    // Three parts in base64url without padding (RFC 7515 section 7.1); Node.js would decode other things, too.
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jwt)) return 'InvalidProviderToken';
    const [header = '', claims = '', signature = ''] = jwt.split('.');
    const parsedHeader = headerSchema.safeParse(parsePart(header));
    const parsedClaims = claimsSchema.safeParse(parsePart(claims));
    if (!parsedHeader.success || !parsedClaims.success) return 'InvalidProviderToken';
    const { kid } = parsedHeader.data;
    const { iss, iat } = parsedClaims.data;
    const key = this.#options.keys().find((candidate) => candidate.keyId === kid);
    if (key === undefined || key.teamId !== iss) return 'InvalidProviderToken';
    const isSigned = verify(
      'sha256',
      Buffer.from(`${header}.${claims}`),
      { key: key.publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    const issuedAtMs = iat * 1_000;
    if (!isSigned || issuedAtMs > this.#now() + clockSkewMs) return 'InvalidProviderToken';
    const { environment } = this.#options;
    const isElsewhere =
      key.environment !== undefined && environment !== 'any' && key.environment !== environment;
    return isElsewhere ? 'BadEnvironmentKeyIdInToken' : { keyId: kid, teamId: iss, issuedAtMs };
  }
}

const headerSchema = z.looseObject({ alg: z.literal('ES256'), kid: z.string() });
const claimsSchema = z.looseObject({ iss: z.string(), iat: z.number() });

function parsePart(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
