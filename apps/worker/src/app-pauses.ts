import { type AppPause, liftPauses, type PauseCause, pauseApp } from '@pushfleet/push-queue';
import type { WorkerLink } from '@pushfleet/push-queue/worker';
import type { Logger } from '@pushfleet/service-kit';

export interface AppPausesOptions {
  readonly app: string;
  readonly link: WorkerLink;
  readonly logger: Logger;
  readonly onChange: (causes: ReadonlySet<PauseCause>) => void;
}

/** What workers pause by themselves for, and lift by themselves. */
const ownCauses: readonly PauseCause[] = ['credential', 'topic'];
/** How often a worker tries whether a trouble that another worker has found is over, milliseconds. */
const probeIntervalMs = 30_000;

/**
 * Why an app rests. What is in Redis holds for the whole fleet; beside it stands what this worker has found and Redis
 * may not have yet, and what concerns this worker alone, such as a credential file that is missing here.
 */
export class AppPauses {
  readonly #options: AppPausesOptions;
  #stored: readonly AppPause[] = [];
  /** Found by this worker: in force from now on, whether or not Redis has it. */
  readonly #found = new Map<PauseCause, string>();
  #localTrouble: string | undefined;
  #causes: ReadonlySet<PauseCause> = new Set();
  /** The first look at a pause of others is a probe: this worker may have been started with what mends it. */
  #nextProbeMs = 0;

  constructor(options: AppPausesOptions) {
    this.#options = options;
  }

  get causes(): ReadonlySet<PauseCause> {
    return this.#causes;
  }

  get rests(): boolean {
    return this.#causes.size > 0;
  }

  /** What people should know, by cause. */
  describe(): Readonly<Record<string, string>> {
    const told = this.#stored.map(({ cause, reason }) => [cause, reason]);
    const local = this.#localTrouble === undefined ? [] : [['credential', this.#localTrouble]];
    return Object.fromEntries([...told, ...this.#found, ...local]) as Record<string, string>;
  }

  /** What Redis says. */
  read(stored: readonly AppPause[]): void {
    this.#stored = stored;
    for (const [cause, reason] of this.#found) {
      const isStored = stored.some((pause) => pause.cause === cause);
      // The breaker's pause is the operator's to lift, once it is written down; ours stand until we lift them.
      if (isStored && !ownCauses.includes(cause)) this.#found.delete(cause);
      else if (!isStored && ownCauses.includes(cause)) this.#write(cause, reason);
    }
    this.#judge();
  }

  /** This worker has found a reason to rest. */
  pause(cause: PauseCause, reason: string): void {
    if (this.#found.has(cause)) return;
    this.#found.set(cause, reason);
    this.#options.logger.error({ cause, reason }, 'the app is paused');
    this.#judge();
    this.#write(cause, reason);
  }

  /** The gateway takes the credential again. */
  lift(): void {
    const lifted = ownCauses.filter((cause) => this.#causes.has(cause) || this.#found.has(cause));
    if (lifted.length === 0) return;
    for (const cause of lifted) this.#found.delete(cause);
    this.#stored = this.#stored.filter(({ cause }) => !lifted.includes(cause));
    this.#options.logger.info({ causes: lifted }, 'the app resumes');
    this.#judge();
    const { app, link } = this.#options;
    void link.persist(
      () => lifted.some((cause) => this.#found.has(cause)),
      () => link.answer(() => liftPauses({ redis: link.client, prefix: link.prefix }, app, lifted)),
    );
  }

  /** What is wrong with the credential on this machine; undefined: nothing. */
  setLocalTrouble(reason: string | undefined): void {
    if (reason !== undefined && this.#localTrouble === undefined) {
      this.#options.logger.error({ reason }, 'the credential cannot be used: nothing is taken for this app');
    }
    this.#localTrouble = reason;
    this.#judge();
  }

  /**
   * Whether to try, with one push job, if a trouble is over that another worker has found: that worker may be gone.
   * Asked once, it says no for a while.
   */
  takeProbe(nowMs: number): boolean {
    if (!this.rests || this.#localTrouble !== undefined || this.#found.size > 0) return false;
    for (const cause of this.#causes) if (!ownCauses.includes(cause)) return false;
    if (nowMs < this.#nextProbeMs) return false;
    this.#nextProbeMs = nowMs + probeIntervalMs * (0.75 + Math.random() * 0.5);
    return true;
  }

  /** Probe at the next occasion: something has changed. */
  probeSoon(): void {
    this.#nextProbeMs = 0;
  }

  #write(cause: PauseCause, reason: string): void {
    const { app, link } = this.#options;
    const pause = { cause, reason, sinceMs: Date.now() };
    void link.persist(
      () => !this.#found.has(cause),
      () => link.answer(() => pauseApp({ redis: link.client, prefix: link.prefix }, app, pause)),
    );
  }

  #judge(): void {
    const causes = new Set<PauseCause>([...this.#stored.map(({ cause }) => cause), ...this.#found.keys()]);
    if (this.#localTrouble !== undefined) causes.add('credential');
    const isSame = causes.size === this.#causes.size && [...causes].every((cause) => this.#causes.has(cause));
    this.#causes = causes;
    if (!isSame) this.#options.onChange(causes);
  }
}
