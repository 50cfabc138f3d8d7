import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { type CredentialUse, checkCredential } from './check-credential.ts';
import type { Credential } from './credential.ts';
import { readCredentialFile } from './credential-files.ts';
import { type CredentialLocation, filesOf } from './credential-location.ts';
import { CredentialError } from './errors.ts';
import { type LoadOptions, loadCredential } from './load-credential.ts';

// A renewed certificate must not need a restart. The folders of the files are watched rather than the files: editors
// and deployments replace a file, and Kubernetes swaps a symbolic link beside it. Watching misses things on network
// file systems and in some containers, so the contents are compared now and then as well.

export interface WatchOptions extends LoadOptions {
  /** What a credential must be good for; without it, only that it can be read. */
  readonly use?: Omit<CredentialUse, 'nowMs'>;
  /** How long to wait after a change, so that certificate and key change together. Milliseconds, 250 by default. */
  readonly settleMs?: number;
  /** How often contents are compared without a sign of change. Milliseconds, 30,000 by default. */
  readonly pollIntervalMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** PEM, as `tls.createSecureContext` takes it. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

/** What was last read, so that unchanged files cost no decryption. */
type Reading =
  | { readonly digest: string; readonly credential: Credential }
  | { readonly digest: string; readonly error: CredentialError };

/**
 * Reads a credential and keeps it up to date. Never fails because of the credential itself: `current` throws what is
 * wrong until there has been a good one, so that a fleet can start while one app's file is missing.
 */
export async function watchCredential(
  location: CredentialLocation,
  options: WatchOptions = {},
): Promise<WatchedCredential> {
  const watched = new WatchedCredential(location, options);
  await watched.refresh();
  return watched;
}

/** A credential that may change while connections live. Holds neither the process nor its exit up. */
export class WatchedCredential {
  readonly #location: CredentialLocation;
  readonly #options: WatchOptions;
  readonly #changeListeners = new Set<(credential: Credential) => void>();
  readonly #problemListeners = new Set<(problem: CredentialError | undefined) => void>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #reading: Reading | undefined;
  #current: Credential | undefined;
  #problem: CredentialError | undefined;
  #isClosed = false;

  /** Use `watchCredential`, which also reads for the first time. */
  constructor(location: CredentialLocation, options: WatchOptions) {
    this.#location = location;
    this.#options = options;
    this.#poll = setInterval(() => void this.refresh(), options.pollIntervalMs ?? 30_000);
    this.#poll.unref();
    this.#watchFolders();
  }

  /** The last good one. @throws CredentialError while there has not been any */
  current(): Credential {
    if (this.#current !== undefined) return this.#current;
    throw this.#problem ?? new CredentialError('file-unreadable', 'The credential has not been read yet');
  }

  /**
   * What is wrong with the files as they are now: why the last good one is still in use, or that this one has expired
   * meanwhile.
   */
  get problem(): CredentialError | undefined {
    return this.#problem;
  }

  /** Calls the listener with each new good credential; the function that comes back unsubscribes. */
  onChange(listener: (credential: Credential) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /** Calls the listener with each new problem, and with `undefined` when there is none any more. */
  onProblem(listener: (problem: CredentialError | undefined) => void): () => void {
    this.#problemListeners.add(listener);
    return () => this.#problemListeners.delete(listener);
  }

  /**
   * The same as what connections by certificate want.
   *
   * @throws CredentialError from `current`, also where the credential is a provider key
   */
  get tls(): { current(): TlsMaterial; onChange(listener: () => void): () => void } {
    return {
      current: () => {
        const credential = this.current();
        if (credential.kind === 'certificate') return { cert: credential.certPem, key: credential.keyPem };
        throw new CredentialError(
          'certificate-missing',
          'The binary protocol needs a certificate: a provider key (.p8) serves HTTP/2 only',
        );
      },
      onChange: (listener) => this.onChange(listener),
    };
  }

  /** Reads anew now. Calls that meet share one reading; never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#changeListeners.clear();
    this.#problemListeners.clear();
  }

  async #read(): Promise<void> {
    const digest = await this.#digest();
    if (this.#reading?.digest !== digest) this.#reading = await this.#load(digest);
    if (this.#isClosed) return;
    this.#watchFolders();
    this.#judge(this.#reading);
  }

  async #load(digest: string): Promise<Reading> {
    try {
      return { digest, credential: await loadCredential(this.#location, this.#options) };
    } catch (error) {
      if (error instanceof CredentialError) return { digest, error };
      const message = `The credential cannot be read: ${String(error)}`;
      return { digest, error: new CredentialError('file-unreadable', message, { cause: error }) };
    }
  }

  /** Also of what has not changed: time passes, and a certificate becomes valid or expires. */
  #judge(reading: Reading): void {
    if ('error' in reading) {
      this.#report(reading.error);
      return;
    }
    const { credential } = reading;
    const { use, now = Date.now } = this.#options;
    const [problem] = use === undefined ? [] : checkCredential(credential, { ...use, nowMs: now() });
    if (problem === undefined && credential.fingerprint !== this.#current?.fingerprint) {
      this.#current = credential;
      notify(this.#changeListeners, credential);
    }
    this.#report(problem);
  }

  #report(problem: CredentialError | undefined): void {
    if (problem?.message === this.#problem?.message) return;
    this.#problem = problem;
    notify(this.#problemListeners, problem);
  }

  async #digest(): Promise<string> {
    const hash = createHash('sha256');
    for (const path of filesOf(this.#location)) {
      const content = await readCredentialFile(path).catch((error: Error) => error.message);
      hash.update(`${path}\0${content.length}\0`).update(content);
    }
    return hash.digest('hex');
  }

  /** Also those that have come into being, or come back, since the last time. */
  #watchFolders(): void {
    for (const folder of new Set(filesOf(this.#location).map((path) => dirname(path)))) {
      if (this.#watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#scheduleRefresh());
        watcher.on('error', () => this.#forget(folder, watcher));
        watcher.on('close', () => this.#forget(folder, watcher));
        this.#watchers.set(folder, watcher);
      } catch {
        // No such folder, or no more watches to be had: the poll does it.
      }
    }
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder);
  }

  /** Not put off by further changes, so that a busy folder cannot put it off for ever. */
  #scheduleRefresh(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      // After a reading that is under way, which may have seen the old files.
      void Promise.resolve(this.#refreshing).then(() => this.refresh());
    }, this.#options.settleMs ?? 250).unref();
  }
}

/** A listener that throws does not keep the others from hearing, nor the caller from going on. */
function notify<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
  for (const listener of [...listeners]) {
    try {
      listener(value);
    } catch {
      // Errors of listeners are ignored.
    }
  }
}
