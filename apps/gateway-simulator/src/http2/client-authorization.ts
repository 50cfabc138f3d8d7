import type { ClientIdentity } from './client-identity.ts';
import type { ProviderTokenVerifier } from './provider-token-verifier.ts';
import { headerOf, type PushRequest } from './push-request.ts';
import type { Reason } from './reasons.ts';

/** Push types that need a provider token: a certificate does not serve them. */
const tokenOnly: ReadonlySet<string> = new Set(['location', 'liveactivity']);

/** What the client of one connection may do. */
export class ClientAuthorization {
  readonly #identity: ClientIdentity;
  readonly #verifier: ProviderTokenVerifier;
  /** Of the connection's first token; all others must be related to it. */
  #key: { readonly keyId: string; readonly teamId: string } | undefined;

  constructor(identity: ClientIdentity, verifier: ProviderTokenVerifier) {
    this.#identity = identity;
    this.#verifier = verifier;
  }

  /** Whether there has been a valid token. */
  get hasToken(): boolean {
    return this.#key !== undefined;
  }

  /** Whether the request comes from somebody who may send at all. */
  checkSender({ headers }: PushRequest): Reason | undefined {
    const identity = this.#identity;
    if (identity.kind === 'refused') return identity.reason;
    // A token beside a certificate is not looked at.
    if (identity.kind === 'certificate') return undefined;
    const verified = this.#verifier.verify(headerOf(headers, 'authorization'));
    if (typeof verified === 'string') return verified;
    this.#key ??= verified;
    if (verified.teamId !== this.#key.teamId) return 'InvalidProviderToken';
    if (verified.keyId !== this.#key.keyId) return 'UnrelatedKeyIdInToken';
    return undefined;
  }

  /** The topic that is meant, or why there is none. */
  topicOf({ topic, pushType }: PushRequest): { readonly topic: string } | Reason {
    const identity = this.#identity;
    if (identity.kind !== 'certificate') return topic === undefined ? 'MissingTopic' : { topic };
    if (pushType !== undefined && tokenOnly.has(pushType)) return 'TopicDisallowed';
    if (topic === undefined) {
      const { defaultTopic, topics } = identity;
      return topics.length > 1 ? 'MissingTopic' : { topic: defaultTopic };
    }
    const isCovered = identity.topics.includes(topic) || identity.defaultTopic === topic;
    return isCovered ? { topic } : 'TopicDisallowed';
  }

  /** Whether the app's channels are this client's business. */
  covers(bundleId: string): boolean {
    const identity = this.#identity;
    if (identity.kind !== 'certificate') return true;
    return identity.topics.includes(bundleId) || identity.defaultTopic === bundleId;
  }

  /** Whom a request without a topic is counted for. */
  get defaultTopic(): string {
    return this.#identity.kind === 'certificate' ? this.#identity.defaultTopic : '';
  }
}
