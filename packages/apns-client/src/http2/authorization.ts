import { describeError } from '../socket/node-error.ts';
import type { PauseKind } from '../transport/transport.ts';
import type { Http2Authentication, ProviderTokens } from './options.ts';

export interface AuthorizationEvents {
  /** There is something to send with again. */
  tokenReady(): void;
  /**
   * There will not be, for now. `about`: what is wrong for certain, so that trying again by ourselves is no use;
   * undefined where it may pass, such as a store that is away.
   */
  tokenFailed(reason: string, about: PauseKind | undefined): void;
}

/** What the `authorization` header says, and when there is nothing to say: then nothing may be sent. */
export class Authorization {
  readonly #tokens: ProviderTokens | undefined;
  readonly #events: AuthorizationEvents;
  #jwt: string | undefined;
  #header: string | undefined;
  /** A token is being signed, or fetched. */
  #isBusy = false;
  #isClosed = false;

  constructor(authentication: Http2Authentication, events: AuthorizationEvents) {
    this.#tokens = authentication.kind === 'token' ? authentication.tokens : undefined;
    this.#events = events;
  }

  /** Whether there is something to send with; with a certificate, always. */
  get isReady(): boolean {
    return this.#tokens === undefined || (!this.#isBusy && this.#tokens.current() !== undefined);
  }

  /** The header; undefined with a certificate. */
  current(): string | undefined {
    const jwt = this.#tokens?.current();
    if (jwt !== this.#jwt) {
      this.#jwt = jwt;
      this.#header = jwt === undefined ? undefined : `bearer ${jwt}`;
    }
    return this.#header;
  }

  /** Fetches a token, or has it signed. An event follows. */
  prepare(): void {
    const tokens = this.#tokens;
    if (tokens === undefined) return;
    this.#work(async () => {
      await tokens.refresh();
      return tokens.current() === undefined ? 'There is no provider token' : undefined;
    }, undefined);
  }

  /** ExpiredProviderToken: signs anew, once. An event follows, unless another stream has said it before. */
  expired(header: string | undefined, reason: string): void {
    this.#replace(header, reason, (tokens, jwt) => tokens.expired(jwt));
  }

  /** InvalidProviderToken: replaces a token that another worker signed, once. As `expired`. */
  refused(header: string | undefined, reason: string): void {
    this.#replace(header, reason, (tokens, jwt) => tokens.refused?.(jwt) ?? Promise.resolve(false));
  }

  /** TooManyProviderTokenUpdates: whether there is an older token to go on with. */
  keepOld(header: string | undefined): boolean {
    const tokens = this.#tokens;
    if (tokens === undefined) return false;
    const jwt = jwtOf(header);
    tokens.tooManyUpdates(jwt);
    const current = tokens.current();
    return current !== undefined && current !== jwt;
  }

  /**
   * The gateway wants no other token for `ms`. Returns how much is left of the time that the whole fleet waits, where
   * the fleet shares one.
   */
  async hold(ms: number): Promise<number> {
    return (await this.#tokens?.hold?.(ms)) ?? ms;
  }

  close(): void {
    this.#isClosed = true;
  }

  #replace(
    header: string | undefined,
    reason: string,
    replace: (tokens: ProviderTokens, jwt: string) => Promise<boolean>,
  ): void {
    const tokens = this.#tokens;
    if (tokens === undefined) {
      this.#events.tokenFailed(reason, 'credential');
      return;
    }
    const jwt = jwtOf(header);
    // Written with a token that has been replaced since.
    if (jwt !== tokens.current()) return;
    this.#work(async () => ((await replace(tokens, jwt)) ? undefined : reason), 'credential');
  }

  /** @param work answers why it was in vain, or nothing; @param about What is wrong then for certain. */
  #work(work: () => Promise<string | undefined>, about: PauseKind | undefined): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const done = (failure: string | undefined, trouble: PauseKind | undefined): void => {
      this.#isBusy = false;
      if (this.#isClosed) return;
      if (failure === undefined) this.#events.tokenReady();
      else this.#events.tokenFailed(failure, trouble);
    };
    work().then(
      (failure) => done(failure, about),
      // A key that cannot be used is a file of this worker's: another may have a good one.
      (error: unknown) => done(describeError(error), isCredentialError(error) ? 'worker' : undefined),
    );
  }
}

function jwtOf(header: string | undefined): string {
  return header?.slice('bearer '.length) ?? '';
}

/** The credential itself is unusable (`CredentialError` of apns-credentials), rather than its store away. */
function isCredentialError(error: unknown): boolean {
  return error instanceof Error && error.name === 'CredentialError';
}
