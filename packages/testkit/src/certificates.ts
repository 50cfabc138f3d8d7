import { createProviderKey, type TestProviderKey } from './certificates/provider-key.ts';
import { TestAuthority } from './certificates/test-authority.ts';
import type { TestIdentity } from './certificates/test-identity.ts';

export * from './certificates/apns-extensions.ts';
export * from './certificates/provider-key.ts';
export * from './certificates/test-authority.ts';
export * from './certificates/test-identity.ts';

/** One of each kind that tests need; an authority signs more. */
export interface TestCertificates {
  readonly authority: TestAuthority;
  /** For `localhost`, `127.0.0.1` and `::1`. */
  readonly server: TestIdentity;
  readonly development: TestIdentity;
  readonly production: TestIdentity;
  /** Both environments, with a topic list: the topic itself, its `.voip` and its `.complication`. */
  readonly universal: TestIdentity;
  /** For production, and expired yesterday. */
  readonly expired: TestIdentity;
  /** For TLS clients, but with no environment extension. */
  readonly plain: TestIdentity;
  /** For production, signed by an authority that nobody trusts. */
  readonly foreign: TestIdentity;
  /** The certificate of `production` with another's key. */
  readonly mismatched: TestIdentity;
  readonly providerKey: TestProviderKey;
}

/** Makes a whole set for one topic: about a second of one processor. */
export async function createTestCertificates(
  options: { readonly topic?: string } = {},
): Promise<TestCertificates> {
  const topic = options.topic ?? 'com.example.shop';
  const [authority, stranger] = await Promise.all([
    TestAuthority.create(),
    TestAuthority.create({ commonName: 'Somebody else' }),
  ]);
  const dayMs = 86_400_000;
  const [server, development, production, universal, expired, plain, foreign] = await Promise.all([
    authority.issueServerCertificate(),
    authority.issueApnsCertificate({ topic, environments: ['development'] }),
    authority.issueApnsCertificate({ topic, environments: ['production'] }),
    authority.issueApnsCertificate({
      topic,
      environments: ['development', 'production'],
      topics: [
        { topic, kinds: ['app'] },
        { topic: `${topic}.voip`, kinds: ['voip'] },
        { topic: `${topic}.complication`, kinds: ['complication'] },
      ],
    }),
    authority.issueApnsCertificate({
      topic,
      notBefore: new Date(Date.now() - 400 * dayMs),
      notAfter: new Date(Date.now() - dayMs),
    }),
    authority.issueApnsCertificate({ topic, environments: [] }),
    stranger.issueApnsCertificate({ topic }),
  ]);
  const mismatched = production.withKeyOf(development);
  const providerKey = createProviderKey();
  return {
    authority,
    server,
    development,
    production,
    universal,
    expired,
    plain,
    foreign,
    mismatched,
    providerKey,
  };
}
