import {
  type AppPause,
  type AppTrouble,
  byLane,
  type Lane,
  liftPauses,
  type PauseCause,
  pauseApp,
} from '@pushfleet/push-queue';
import type { WorkerLink } from '@pushfleet/push-queue/worker';
import { jitterMs, type Logger } from '@pushfleet/service-kit';
import type { Loop } from '../loop.ts';

export interface AppPausesOptions {
  readonly app: string;
  readonly link: WorkerLink;
  readonly logger: Logger;
  /** Woken when a pause or a trouble begins, changes or ends. */
  readonly loop: Loop;
}

/** Causes for which the fleet pauses an app by itself, and for which it lifts the pause by itself. */
const ownCauses: readonly PauseCause[] = ['credential', 'topic'];
/** How often a worker without trouble of its own sends a probe while the fleet is paused, milliseconds. */
const probeIntervalMs = 30_000;

/**
 * Why an app is not sent for here. The pauses in Redis hold for the whole fleet. The trouble of this worker holds for this
 * worker alone; whether it becomes a pause is decided from what all workers say (docs/decisions/0023-pauses-of-a-fleet.md).
 */
export class AppPauses {
  readonly #options: AppPausesOptions;
  /** Undefined until Redis has been asked: a worker that starts does not send for an app that is paused. */
  #stored: readonly AppPause[] | undefined;
  /** The breaker has tripped here, and Redis may not know yet. */
  #tripped: string | undefined;
  /** Of the transport of each lane; where the lanes share it, of `bulk`. */
  readonly #troubles = byLane<AppTrouble | undefined>(() => undefined);
  #causes: ReadonlySet<PauseCause> = new Set();
  /** 0 at the start, so that a probe is due at once: this worker may have been started with what ends the pause. */
  #nextProbeMs = 0;
  #version = 0;

  constructor(options: AppPausesOptions) {
    this.#options = options;
  }

  /** Rises when a pause or a trouble begins, changes or ends. */
  get version(): number {
    return this.#version;
  }

  /** Why the fleet is paused. */
  get causes(): ReadonlySet<PauseCause> {
    return this.#causes;
  }

  /** Why this worker cannot send, as its transports last reported it. */
  get trouble(): AppTrouble | undefined {
    return this.#troubles.bulk ?? this.#troubles.transactional;
  }

  /** Too many tokens were called invalid, here or at another worker: none of that is evidence against a device. */
  get isTripped(): boolean {
    return this.#causes.has('invalid-tokens');
  }

  /** Whether the pauses have been read. */
  get isKnown(): boolean {
    return this.#stored !== undefined;
  }

  /** Whether only a probe may be sent: the fleet is paused, this worker cannot send, or it has not asked Redis yet. */
  get isPaused(): boolean {
    return !this.isKnown || this.#causes.size > 0 || this.trouble !== undefined;
  }

  /** Why the fleet is paused, for people, by cause. */
  get reasons(): Readonly<Record<string, string>> {
    const stored = (this.#stored ?? []).map(({ cause, reason }) => [cause, reason]);
    const tripped = this.#tripped === undefined ? [] : [['invalid-tokens', this.#tripped]];
    return Object.fromEntries([...stored, ...tripped]) as Record<string, string>;
  }

  /** Until when the gateway asked not to be asked, epoch milliseconds; undefined when no hold is published. */
  get holdUntilMs(): number | undefined {
    const ends = (this.#stored ?? []).flatMap(({ untilMs }) => untilMs ?? []);
    return ends.length === 0 ? undefined : Math.max(...ends);
  }

  /** Replaces the pauses of the fleet by those that Redis has. */
  update(stored: readonly AppPause[]): void {
    const wasKnown = this.isKnown;
    this.#stored = stored;
    if (stored.some(({ cause }) => cause === 'invalid-tokens')) this.#tripped = undefined;
    this.#judge(!wasKnown);
  }

  /** Pauses the fleet, since the breaker has tripped, until an operator lifts the pause. */
  trip(reason: string): void {
    if (this.isTripped) return;
    this.#tripped = reason;
    const { app, link, logger } = this.#options;
    logger.error(
      { cause: 'invalid-tokens', reason },
      'the gateway calls too many tokens invalid: the app is paused for the fleet',
    );
    this.#judge();
    const pause: AppPause = { cause: 'invalid-tokens', reason, sinceMs: Date.now() };
    const written = link.persist(
      () => this.#tripped === undefined,
      () => link.answer(() => pauseApp({ redis: link.client, prefix: link.prefix }, app, pause)),
    );
    // Once Redis has it, only an operator lifts it.
    void written.then(() => this.update([...(this.#stored ?? []), pause]));
  }

  /** What keeps the transport of a lane from sending; undefined: nothing. */
  setTrouble(of: Lane, troubleOfLane: AppTrouble | undefined): void {
    const before = this.trouble;
    this.#troubles[of] = troubleOfLane;
    const { trouble } = this;
    if (before === undefined && trouble === undefined) return;
    const { logger } = this.#options;
    if (trouble === undefined) {
      logger.info({ about: before?.about }, 'this worker can send for the app again');
    } else if (before?.about !== trouble.about) {
      const { about, reason } = trouble;
      logger.error({ about, reason }, 'this worker cannot send for the app: it takes none of its push jobs');
    }
    this.#judge(true);
  }

  /** Lifts the pauses that the fleet makes by itself, since the gateway lets this worker send; also those not read yet. */
  lift(): void {
    const lifted = ownCauses.filter((cause) => this.#causes.has(cause));
    this.#stored = this.#stored?.filter(({ cause }) => !ownCauses.includes(cause));
    const { app, link, logger } = this.#options;
    if (lifted.length > 0)
      logger.info({ causes: lifted }, 'the gateway accepts this worker: the pause of the fleet is lifted');
    this.#judge();
    void link.persist(
      () => this.trouble !== undefined,
      () => link.answer(() => liftPauses({ redis: link.client, prefix: link.prefix }, app, ownCauses)),
    );
  }

  /**
   * Whether it is time for a probe, to find out whether a pause that other workers have made is over: they may be gone. Both
   * times are of the same moment: `nowMs` passes evenly, `epochMs` is the system's clock.
   */
  isProbeDue(nowMs: number, epochMs: number): boolean {
    if (this.#causes.size === 0 || this.trouble !== undefined || this.#tripped !== undefined) return false;
    for (const cause of this.#causes) if (!ownCauses.includes(cause)) return false;
    return nowMs >= this.#nextProbeMs && epochMs >= (this.holdUntilMs ?? 0);
  }

  /** A probe is out: schedules the next for a while later. */
  noteProbe(nowMs: number): void {
    this.#nextProbeMs = nowMs + jitterMs(probeIntervalMs, 0.25);
  }

  /** Makes the next probe due at once, since something has changed. */
  probeSoon(): void {
    this.#nextProbeMs = 0;
  }

  #judge(isOther = false): void {
    const causes = new Set<PauseCause>((this.#stored ?? []).map(({ cause }) => cause));
    if (this.#tripped !== undefined) causes.add('invalid-tokens');
    const isSame = causes.size === this.#causes.size && [...causes].every((cause) => this.#causes.has(cause));
    this.#causes = causes;
    if (!isOther && isSame) return;
    this.#version++;
    this.#options.loop.wake();
  }
}
