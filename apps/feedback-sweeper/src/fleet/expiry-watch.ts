import { daysLeft, expiryThreshold, type WatchedCredential } from '@pushfleet/apns-credentials';
import { type Logger, pause } from '@pushfleet/service-kit';
import type { TokenStore } from '@pushfleet/token-store';
import type { Trouble } from '../trouble.ts';

export interface ExpiryWatchOptions {
  readonly apps: readonly { readonly id: string; readonly credential: WatchedCredential }[];
  readonly store: TokenStore;
  readonly logger: Logger;
  readonly postgres: Trouble;
  readonly signal: AbortSignal;
  /** Milliseconds; 10 minutes by default. */
  readonly intervalMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Tells 30, 14, 7 and 1 days before a certificate ends, and when it has ended; each once, whoever sees it first. */
export class ExpiryWatch {
  readonly #options: ExpiryWatchOptions;

  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
  }

  /** Resolves after the signal. */
  async run(): Promise<void> {
    const { postgres, signal, intervalMs = 600_000 } = this.#options;
    while (!signal.aborted) {
      try {
        await this.look();
        postgres.succeeded();
        await pause(intervalMs, signal);
      } catch (error) {
        postgres.failed(error);
        await pause(10_000, signal);
      }
    }
  }

  /** @throws TokenStoreError */
  async look(): Promise<void> {
    const { apps, store, logger, now = Date.now } = this.#options;
    for (const { id: app, credential } of apps) {
      const current = currentOf(credential);
      if (current === undefined) continue;
      const certificate = current.kind === 'certificate' ? current.certificate : undefined;
      await store.appCredentials.note(app, certificate?.notAfter ?? null);
      if (certificate === undefined) continue;
      const { notAfter, sha256Fingerprint: fingerprint } = certificate;
      const threshold = expiryThreshold(notAfter, now());
      if (threshold === undefined) continue;
      const days = Math.floor(daysLeft(notAfter, now()));
      const payload = { daysLeft: days, threshold, notAfter: notAfter.toISOString(), fingerprint };
      const key = `credential.expiring ${app} ${fingerprint} ${threshold}`;
      if (await store.events.writeOnce({ app, kind: 'credential.expiring', payload, key })) {
        logger.warn({ app, daysLeft: days, notAfter }, 'the certificate is about to expire, or has');
      }
    }
  }
}

function currentOf(credential: WatchedCredential) {
  try {
    return credential.current();
  } catch {
    // Told by whoever uses it.
    return undefined;
  }
}
