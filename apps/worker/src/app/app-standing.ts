import { type ConnectionEnd, type GatewayAnswer, tokenEvidence, type Verdict } from '@pushfleet/apns-client';
import type { AppSlowed, AppTrouble, SlowCause } from '@pushfleet/push-queue';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { FleetMember } from '../fleet-member.ts';
import type { AppTransport } from '../gateway/app-transport.ts';
import type { VerdictListener } from '../job/push-job.ts';
import type { Loop } from '../loop.ts';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { AppHealth } from '../standing/app-health.ts';
import type { AppPauses } from '../standing/app-pauses.ts';
import { Breaker } from '../standing/breaker.ts';
import type { Probe } from './plan.ts';

export interface AppStandingOptions {
  readonly app: FleetApp;
  readonly pauses: AppPauses;
  readonly health: AppHealth;
  readonly transport: AppTransport;
  readonly metrics: AppMetrics;
  /** Hears at once when the trouble of this worker changes, or whether the app is slowed. */
  readonly fleet: FleetMember;
  readonly loop: Loop;
  readonly logger: Logger;
}

/**
 * How an app stands with its gateway: whether it may be sent for, or only probes may, and which probe is out. Judges by
 * what becomes of its notifications. Too many invalid tokens pause the fleet (docs/decisions/0022-invalid-token-breaker.md);
 * too much trouble slows the app here (docs/decisions/0024-slowed-apps.md).
 */
export class AppStanding implements VerdictListener {
  readonly #options: AppStandingOptions;
  readonly #breaker: Breaker;
  /** While it is out, no other push job is taken. */
  #probe: (Probe & { isHandedOver: boolean }) | undefined;
  #isRecallDue = false;
  /** The published hold whose end has been used to ask the gateway, epoch milliseconds. */
  #probedHoldMs = 0;
  /** As they were when the pauses were last applied. */
  #appliedTrouble: AppTrouble | undefined;
  #wasTripped = false;

  constructor(options: AppStandingOptions) {
    this.#options = options;
    this.#breaker = new Breaker(options.app.breaker);
    options.metrics.setPaused(new Set());
  }

  /** Nothing but a probe may be sent. */
  get isRestricted(): boolean {
    const { pauses, health } = this.#options;
    return pauses.isPaused || health.slowed !== undefined;
  }

  get probe(): (Probe & { readonly isHandedOver: boolean }) | undefined {
    return this.#probe;
  }

  /** The app has been slowed: what the transport has not written is to come back. */
  get isRecallDue(): boolean {
    return this.#isRecallDue;
  }

  /** The probe that may be sent now; undefined: the app is not restricted, or has to wait. */
  dueProbe(nowMs: number, epochMs: number): Probe | undefined {
    const { pauses, health } = this.#options;
    if (pauses.isPaused) return pauses.isProbeDue(nowMs, epochMs) ? { about: 'pause', most: 1 } : undefined;
    return health.isProbeDue(nowMs) ? { about: 'health', most: health.allowance } : undefined;
  }

  /** The push job of a probe is being taken. */
  armProbe(probe: Probe): void {
    this.#probe = { ...probe, isHandedOver: false };
  }

  /** A push job is being handed over: where it is a probe, what becomes of it is counted for that. */
  handOver(nowMs: number): void {
    if (this.#probe === undefined) return;
    this.#probe.isHandedOver = true;
    if (this.#probe.about === 'health') this.#options.health.beginProbe();
    else this.#options.pauses.noteProbe(nowMs);
  }

  /** Everything of the probe has come back, or there was no push job for it. */
  endProbe(nowMs: number): void {
    const before = this.#options.health.slowed;
    this.#probe = undefined;
    this.#options.health.endProbe(nowMs);
    this.#applyHealth(before);
  }

  /** The transport was asked to hand back what it has not written. */
  noteRecall(): void {
    this.#isRecallDue = false;
  }

  /** To be called now and then. Both times are of the same moment: see `Clock` of apns-client. */
  tick(nowMs: number, epochMs: number): void {
    const { health, pauses, transport, loop } = this.#options;
    const before = health.slowed;
    health.tick(nowMs);
    this.#applyHealth(before);
    transport.tick(epochMs);
    const { holdUntilMs = 0 } = pauses;
    if (holdUntilMs > this.#probedHoldMs && epochMs >= holdUntilMs) {
      // A transport that was built during the hold waits longer than the hold by itself.
      this.#probedHoldMs = holdUntilMs;
      transport.probeNow();
    }
    if (this.isRestricted) loop.wake();
  }

  /** Applies what has changed of the pauses. */
  applyPauses(): void {
    const { pauses, metrics, fleet } = this.#options;
    const { causes, trouble, isTripped } = pauses;
    if (this.#probe?.isHandedOver === false) this.#probe = undefined;
    metrics.setPaused(causes);
    metrics.setUnable(trouble?.about);
    // An operator has let the app go on.
    if (this.#wasTripped && !isTripped) this.#breaker.reset();
    this.#wasTripped = isTripped;
    if (trouble !== this.#appliedTrouble) fleet.beatSoon();
    this.#appliedTrouble = trouble;
  }

  /** Begins anew with another credential: what the gateway said of the one before does not count for this one. */
  renewCredential(): void {
    const { transport, pauses, loop } = this.#options;
    this.#breaker.reset();
    // Transports hear of it themselves; those that could not be built are built anew.
    transport.rebuild();
    pauses.probeSoon();
    loop.wake();
  }

  /**
   * An accepted or rejected notification shows that the gateway serves the app. A retryable one counts as trouble whosever
   * fault the gateway calls it, and so does an uncertain one. What a transport sends again by itself is not reported here:
   * the transport slows down by itself.
   */
  settled(notifications: number, verdict: Verdict): void {
    switch (verdict.kind) {
      case 'accepted':
        this.#breaker.recordAccepted(notifications, performance.now());
        this.#recordServed(notifications);
        return;
      case 'rejected':
        for (let n = 0; n < notifications; n++) this.#countRejected(verdict.answer);
        this.#recordServed(notifications);
        return;
      case 'retryable':
        this.#recordTrouble('answers', notifications, verdict.answer.retryAfterMs);
        return;
      case 'uncertain': {
        const cause = slowCauseOf(verdict.cause);
        if (cause !== undefined) this.#recordTrouble(cause, notifications);
        return;
      }
      default:
        // Expired and unprocessed: nothing of the gateway.
        return;
    }
  }

  /** The gateway has decided about so many. */
  #recordServed(notifications: number): void {
    const { pauses, health } = this.#options;
    health.recordGood(notifications, performance.now());
    if (this.#probe?.about === 'pause') pauses.lift();
  }

  #countRejected(answer: GatewayAnswer): void {
    const { pauses, transport, metrics } = this.#options;
    metrics.countRejected(answer.reason);
    // A 410 is no sign of a wrong environment.
    if (tokenEvidence(answer) !== 'invalid-token') return;
    this.#breaker.recordInvalid(performance.now());
    if (!this.#breaker.isTripped) return;
    const { decided, invalid } = this.#breaker.sums;
    pauses.trip(`${invalid} of ${decided} tokens were called invalid: is it the right environment?`);
    transport.retire();
  }

  /** So many notifications met with trouble that is not theirs. */
  #recordTrouble(cause: SlowCause, notifications: number, retryAfterMs?: number): void {
    const { health } = this.#options;
    const before = health.slowed;
    health.recordTrouble(cause, notifications, performance.now(), Date.now(), retryAfterMs);
    this.#applyHealth(before);
  }

  #applyHealth(before: AppSlowed | undefined): void {
    const { health, metrics, logger, fleet, loop } = this.#options;
    const { slowed } = health;
    if (slowed === before) return;
    metrics.setSlowed(slowed);
    if (slowed === undefined) {
      logger.info('the gateway answers again: the app is no longer slowed');
    } else {
      logger.warn({ cause: slowed.cause }, 'the gateway is in trouble: the app is slowed');
      // Later, by the loop: the transport is in the middle of reporting the trouble.
      this.#isRecallDue = true;
    }
    fleet.beatSoon();
    loop.wake();
  }
}

const timeouts: ReadonlySet<ConnectionEnd> = new Set([
  'write-stalled',
  'proof-timeout',
  'ping-timeout',
  'stream-stalled',
]);
const answers: ReadonlySet<ConnectionEnd> = new Set(['error-response', 'gateway-errors', 'foreign-answers']);
/** Ends that the worker itself chooses. */
const ours: ReadonlySet<ConnectionEnd> = new Set(['rotated', 'idle', 'drained']);

/** What the end of a connection under a notification says of the gateway; undefined: nothing. */
function slowCauseOf(end: ConnectionEnd): SlowCause | undefined {
  if (ours.has(end)) return undefined;
  if (timeouts.has(end)) return 'timeouts';
  return answers.has(end) ? 'answers' : 'resets';
}
