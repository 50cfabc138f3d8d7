import { createPublicKey } from 'node:crypto';
import { createProviderKey } from '@pushfleet/testkit/certificates';
import { beforeEach, expect, test } from 'vitest';
import { ProviderTokenVerifier } from '../src/http2/provider-token-verifier.ts';
import { bearer } from './provider-tokens.ts';

const minuteMs = 60_000;
const key = createProviderKey();
const other = createProviderKey({ keyId: 'OTHERKEY12' });

let nowMs: number;
let verifier: ProviderTokenVerifier;
beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 25);
  verifier = new ProviderTokenVerifier({
    keys: () =>
      [key, other].map(({ keyId, teamId, publicKeyPem }) => ({
        ...{ keyId, teamId },
        publicKey: createPublicKey(publicKeyPem),
      })),
    environment: 'any',
    updateIntervalMs: 20 * minuteMs,
    now: () => nowMs,
  });
});

const tokenOf = (issuedAtMs: number, signer = key): string => bearer({ ...signer, issuedAtMs }).authorization;
const accepted = { keyId: key.keyId, teamId: key.teamId };

test('a token is good for an hour to the second', () => {
  const token = tokenOf(nowMs);
  expect(verifier.verify(token)).toMatchObject(accepted);
  nowMs += 60 * minuteMs;
  expect(verifier.verify(token)).toMatchObject(accepted);
  nowMs += 1_000;
  expect(verifier.verify(token)).toBe('ExpiredProviderToken');
});

test('a clock that is a minute ahead is borne with, and no more', () => {
  expect(verifier.verify(tokenOf(nowMs + minuteMs))).toMatchObject(accepted);
  expect(verifier.verify(tokenOf(nowMs + minuteMs + 1_000))).toBe('InvalidProviderToken');
});

test('a key may have a new token 20 minutes after its last one, not before; the old one stays good', () => {
  const first = tokenOf(nowMs);
  expect(verifier.verify(first)).toMatchObject(accepted);
  nowMs += 20 * minuteMs - 1;
  const second = tokenOf(nowMs);
  expect(verifier.verify(second)).toBe('TooManyProviderTokenUpdates');
  expect(verifier.verify(first)).toMatchObject(accepted);
  nowMs += 1;
  expect(verifier.verify(second)).toMatchObject(accepted);
  expect(verifier.verify(first)).toMatchObject(accepted);
});

test('keys do not count for each other', () => {
  expect(verifier.verify(tokenOf(nowMs))).toMatchObject(accepted);
  expect(verifier.verify(tokenOf(nowMs, other))).toMatchObject({ keyId: other.keyId });
});

test('a refused token does not count', () => {
  expect(verifier.verify(tokenOf(nowMs - 61 * minuteMs))).toBe('ExpiredProviderToken');
  expect(verifier.verify(tokenOf(nowMs))).toMatchObject(accepted);
});

test('a token whose claims were changed after signing is invalid', () => {
  const [header, claims, signature] = tokenOf(nowMs).split('.');
  const changed = Buffer.from(JSON.stringify({ iss: key.teamId, iat: nowMs / 1_000 + 1 })).toString(
    'base64url',
  );
  expect(verifier.verify([header, changed, signature].join('.'))).toBe('InvalidProviderToken');
  expect(verifier.verify([header, claims, signature].join('.'))).toMatchObject(accepted);
});
