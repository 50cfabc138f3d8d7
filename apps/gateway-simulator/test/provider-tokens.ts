import { createPrivateKey, sign } from 'node:crypto';

export interface TokenParts {
  readonly p8: string;
  readonly keyId: string;
  readonly teamId: string;
  /** Epoch milliseconds; now by default. */
  readonly issuedAtMs?: number;
  readonly alg?: string;
}

/** A provider token; parts may be wrong. */
function providerToken({ p8, keyId, teamId, issuedAtMs, alg = 'ES256' }: TokenParts): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor((issuedAtMs ?? Date.now()) / 1_000);
  const signed = `${part({ alg, kid: keyId })}.${part({ iss: teamId, iat })}`;
  const signature = sign('sha256', Buffer.from(signed), {
    key: createPrivateKey(p8),
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}

export function bearer(parts: TokenParts): { authorization: string } {
  return { authorization: `bearer ${providerToken(parts)}` };
}
