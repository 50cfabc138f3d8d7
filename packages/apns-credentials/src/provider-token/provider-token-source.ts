import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type { Credential, TokenCredential } from '../credential.ts';
import { CredentialError } from '../errors.ts';
import type { ProviderTokenStore, StoredProviderToken } from './provider-token-store.ts';
import { signProviderToken } from './sign-provider-token.ts';

// One provider token for the whole fleet (`docs/protocol/http2.md#provider-token`): at most an hour old, renewed at
// most once in 20 minutes.
//
//   age      0 … 40 min   in use, left alone
//           40 … 50 min   whoever gets the lock renews; the others go on with it
//           50 min …      must not be used any more: wait for the one who renews, or without a store sign one's own
//
// Ages are told by the store, and between two looks at it by the own clock. `iat` is the earlier of what the store and
// the signer take for the time, set back a little, so that a clock that is fast issues nothing from the future. A token
// that was issued in the future all the same is not adopted: the gateway would refuse it.

const minuteMs = 60_000;
const renewAfterMs = 40 * minuteMs;
const replaceAfterMs = 50 * minuteMs;
/** Apple's own limit; a refused renewal is not tried again before it either. */
const renewalFloorMs = 20 * minuteMs;
const backDatingMs = minuteMs;
/**
 * A shared token that is so much ahead of the own clock is not adopted, whatever the store's clock says. Less may be
 * the own clock's fault.
 */
const ownClockToleranceMs = 5 * minuteMs;
const lockTtlMs = 10_000;
const lockRetryMs = 50;

export interface ProviderTokenSourceOptions {
  readonly credential: { current(): Credential; onChange(listener: () => void): () => void };
  readonly store: ProviderTokenStore;
  /** Trouble that does not stop anything by itself: the store is away, a renewal was refused. */
  readonly onProblem?: (error: Error) => void;
  /** How often the age is looked at. Milliseconds, 30,000 by default. */
  readonly checkIntervalMs?: number;
  /**
   * How long to wait for another process that is signing. Milliseconds; 12,000 by default: a lock is held for 10,000 at
   * most.
   */
  readonly lockWaitMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

interface HeldToken extends StoredProviderToken {
  /** Which key signed it. */
  readonly name: string;
  /** When `ageMs` was true, by the own clock. */
  readonly asOfMs: number;
}

/** Has a valid token at hand from the first call of `refresh` on. Holds the process up in nothing. */
export class ProviderTokenSource {
  readonly #options: ProviderTokenSourceOptions;
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #held: HeldToken | undefined;
  #previous: HeldToken | undefined;
  #refreshing: Promise<void> | undefined;
  /** The last that this process signed itself. */
  #signedHere: string | undefined;
  #noRenewalBeforeMs = 0;
  #lastForcedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProviderTokenSourceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const refresh = (): void => void this.refresh().catch((error: unknown) => this.#report(error));
    this.#timer = setInterval(refresh, options.checkIntervalMs ?? 30_000).unref();
    this.#unsubscribe = options.credential.onChange(refresh);
  }

  /** The token to send with, or nothing where there is none that is young enough. */
  current(): string | undefined {
    const held = this.#held;
    return held !== undefined && this.#ageOf(held) < 60 * minuteMs ? held.jwt : undefined;
  }

  /** Age of the current token, milliseconds; for metrics. */
  get ageMs(): number | undefined {
    return this.#held === undefined ? undefined : this.#ageOf(this.#held);
  }

  /** Calls the listener whenever there is another token; the function that comes back unsubscribes. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Sees to it that the token is young enough. Calls that meet share one attempt.
   *
   * @throws CredentialError where there is no provider key to sign with
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /**
   * The gateway called `jwt` expired (ExpiredProviderToken): signs anew once, though it is not time. Answers whether
   * there is another token to try with; false says that the gateway dislikes them for another reason, such as the time
   * on this machine.
   */
  async expired(jwt: string): Promise<boolean> {
    return this.#replace(jwt, true);
  }

  /**
   * The gateway called `jwt` invalid (InvalidProviderToken): replaces it once where another process signed it, since that
   * one's clock or key may be wrong. Answers whether there is another token to try with; false says that this process
   * has signed it itself, so that the key is what the gateway dislikes.
   */
  async refused(jwt: string): Promise<boolean> {
    return this.#replace(jwt, this.#signedHere !== jwt);
  }

  /**
   * The gateway wants to be left alone for `ms`. Returns how much is left of that: the fleet has one end for all, which
   * a process that starts anew does not put off. Where the store is away, `ms`.
   */
  async hold(ms: number): Promise<number> {
    const { fingerprint } = this.#credential();
    const left = await this.#attempt(() => this.#options.store.hold(fingerprint, ms));
    return left.failed ? ms : left.value;
  }

  /**
   * The gateway finds that tokens change too often (TooManyProviderTokenUpdates): goes back to the last one where it is
   * still good, and lets 20 minutes pass before the next.
   */
  tooManyUpdates(jwt: string): void {
    this.#noRenewalBeforeMs = this.#now() + renewalFloorMs;
    const previous = this.#previous;
    if (this.#held?.jwt !== jwt || previous === undefined) return;
    if (previous.name !== this.#held.name || this.#ageOf(previous) >= replaceAfterMs) return;
    this.#held = previous;
    this.#previous = undefined;
    this.#notify();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
    this.#listeners.clear();
  }

  /** Another token than that: what another process has signed since, or where `maySign` one that is signed here. */
  async #replace(jwt: string, maySign: boolean): Promise<boolean> {
    await this.#refreshing?.catch(() => undefined);
    if (this.#held?.jwt !== jwt) return this.#held !== undefined;
    const credential = this.#credential();
    const isOther = (stored: StoredProviderToken): boolean => stored.jwt !== jwt;
    if (await this.#adopt(credential.fingerprint, isOther)) return true;
    if (!maySign || this.#now() - this.#lastForcedMs < renewalFloorMs) return false;
    this.#lastForcedMs = this.#now();
    await this.#renew(credential, isOther, 'pressing');
    return this.#held.jwt !== jwt;
  }

  async #refresh(): Promise<void> {
    const credential = this.#credential();
    const name = credential.fingerprint;
    const held = this.#held?.name === name ? this.#held : undefined;
    if (held !== undefined && this.#ageOf(held) < renewAfterMs) return;
    // With a token that can still be used, a refusal to renew is respected; without one there is no choice.
    const isPressing = held === undefined || this.#ageOf(held) >= replaceAfterMs;
    if (!isPressing && this.#now() < this.#noRenewalBeforeMs) return;
    const isYoung = (stored: StoredProviderToken): boolean => stored.ageMs < renewAfterMs;
    if (await this.#adopt(name, isYoung)) return;
    await this.#renew(credential, isYoung, isPressing ? 'pressing' : 'early');
  }

  /** Signs, unless another process has signed or is about to: then takes over what satisfies `isGood`. */
  async #renew(
    credential: TokenCredential,
    isGood: (stored: StoredProviderToken) => boolean,
    urgency: 'early' | 'pressing',
  ): Promise<void> {
    const { store, lockWaitMs = 12_000 } = this.#options;
    const name = credential.fingerprint;
    const deadlineMs = this.#now() + lockWaitMs;
    for (;;) {
      const lock = await this.#attempt(() => store.lock(name, lockTtlMs));
      if (lock.failed) {
        if (urgency === 'pressing') await this.#sign(credential, undefined);
        return;
      }
      const { value: held } = lock;
      if (held !== undefined) {
        try {
          // Another process may have been quicker, between our look and our lock.
          if (!(await this.#adopt(name, isGood))) await this.#sign(credential, held.storeNowMs);
        } finally {
          await this.#attempt(() => held.release());
        }
        return;
      }
      if (urgency === 'early' || this.#now() >= deadlineMs) return;
      await sleep(lockRetryMs);
      if (await this.#adopt(name, isGood)) return;
    }
  }

  /** Takes over the token of the fleet, if it is good. */
  async #adopt(name: string, isGood: (stored: StoredProviderToken) => boolean): Promise<boolean> {
    const stored = await this.#attempt(() => this.#options.store.get(name));
    if (stored.failed || stored.value === undefined || !isGood(stored.value)) return false;
    if (this.#isFromTheFuture(stored.value)) return false;
    this.#use(name, stored.value);
    return true;
  }

  /** The gateway would refuse it: whoever signed it has a clock that is fast. */
  #isFromTheFuture({ jwt, storeNowMs = Number.POSITIVE_INFINITY }: StoredProviderToken): boolean {
    const issuedAtMs = issuedAtMsOf(jwt);
    return issuedAtMs > Math.min(storeNowMs, this.#now() + ownClockToleranceMs);
  }

  /** @param storeNowMs By the clock of the store, where it is known. */
  async #sign(credential: TokenCredential, storeNowMs = this.#now()): Promise<void> {
    const { key, keyId, teamId, fingerprint: name } = credential;
    const issuedAtMs = Math.min(this.#now(), storeNowMs) - backDatingMs;
    const jwt = await signProviderToken({ key, keyId, teamId, issuedAtMs });
    const token = { jwt, ageMs: storeNowMs - issuedAtMs };
    this.#signedHere = jwt;
    await this.#attempt(() => this.#options.store.set(name, token, replaceAfterMs));
    this.#use(name, token);
  }

  #use(name: string, token: StoredProviderToken): void {
    const isOther = token.jwt !== this.#held?.jwt;
    if (isOther) this.#previous = this.#held;
    this.#held = { ...token, name, asOfMs: this.#now() };
    if (isOther) this.#notify();
  }

  #credential(): TokenCredential {
    const credential = this.#options.credential.current();
    if (credential.kind === 'token') return credential;
    throw new CredentialError(
      'provider-key-invalid',
      'A provider token needs a provider key (.p8), not a certificate',
    );
  }

  #ageOf(token: HeldToken): number {
    return token.ageMs + this.#now() - token.asOfMs;
  }

  /** Sending goes on while the store is away. */
  async #attempt<T>(call: () => Promise<T>): Promise<{ failed: false; value: T } | { failed: true }> {
    try {
      return { failed: false, value: await call() };
    } catch (error) {
      this.#report(error);
      return { failed: true };
    }
  }

  #report(error: unknown): void {
    try {
      this.#options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
    } catch {
      // The observer's own affair.
    }
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch {
        // Errors of listeners are ignored.
      }
    }
  }
}

/** Epoch milliseconds; 0 where the token cannot be read, which is for the gateway to say. */
function issuedAtMsOf(jwt: string): number {
  try {
    const { iat } = decodeJwt(jwt);
    return typeof iat === 'number' ? iat * 1_000 : 0;
  } catch {
    return 0;
  }
}
