import { generateKeyPairSync } from 'node:crypto';

/** A provider's signing key (`docs/protocol/http2.md#provider-token`), as the `.p8` file that Apple hands out. */
export interface TestProviderKey {
  /** What the `.p8` file holds: PKCS #8 PEM of a P-256 key. */
  readonly p8: string;
  /** SPKI PEM, to verify tokens with. */
  readonly publicKeyPem: string;
  /** 10 characters. */
  readonly keyId: string;
  /** 10 characters. */
  readonly teamId: string;
}

export function createProviderKey(ids: { keyId?: string; teamId?: string } = {}): TestProviderKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    p8: privateKey,
    publicKeyPem: publicKey,
    keyId: ids.keyId ?? 'KEY1234567',
    teamId: ids.teamId ?? 'TEAM123456',
  };
}
