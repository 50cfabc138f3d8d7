import { appPrefix, type PushQueue } from '@pushfleet/push-queue';
import type { DecodedPushJob, WorkerLink } from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { Registry } from 'prom-client';
import type { AppPauses } from '../standing/app-pauses.ts';
import { type CanaryMetrics, type CanaryOutcome, createCanaryMetrics } from './canary-metrics.ts';

export interface CanaryOptions {
  readonly app: FleetApp;
  readonly settings: NonNullable<FleetApp['canary']>;
  readonly link: WorkerLink;
  /** Of its own, so that no other notification shares a push job with a canary. */
  readonly queue: PushQueue;
  readonly metrics: CanaryMetrics;
  /** While the app is paused, no canary is sent. */
  readonly pauses: AppPauses;
  readonly logger: Logger;
}

/** Intervals after which a canary that was never heard of again is given up. */
const forgottenAfter = 10;

/**
 * Sends a silent push to a token of the operator's own every so often, through the queue like any other, so that the
 * whole way is tried. One of the fleet's workers sends it, and one learns of its end:
 * docs/decisions/0072-canaries.md.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #timer: NodeJS.Timeout;
  /** Sends of a worker are one at a time. */
  #sending: Promise<void> = Promise.resolve();
  #isSending = false;
  #lastOutcome: CanaryOutcome = 'accepted';

  constructor(options: CanaryOptions) {
    this.#options = options;
    const { everyMs } = options.settings;
    options.metrics.begin(everyMs / 1_000, Date.now() / 1_000);
    this.#timer = setInterval(() => this.#look(), Math.min(5_000, Math.max(100, everyMs / 10)));
    this.#look();
  }

  /** Sends no more; resolves when nothing goes on. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
  }

  /** A push job has ended. Does nothing unless it is a canary. */
  settled(
    job: DecodedPushJob,
    exception: { readonly outcome: CanaryOutcome; readonly reason: string } | undefined,
    seconds: number,
  ): void {
    if (!this.#isCanary(job)) return;
    const outcome = exception?.outcome ?? 'accepted';
    this.#options.metrics.countSettled(outcome, seconds);
    this.#logChange(outcome, exception?.reason);
    this.#noteEnd(outcome).catch((err: unknown) => {
      this.#options.logger.debug({ err }, 'the end of a canary was not written down');
    });
  }

  #isCanary({ count, lane, columns }: DecodedPushJob): boolean {
    if (count !== 1 || lane !== 'transactional') return false;
    const { buffer, byteOffset, byteLength } = columns.tokens;
    const token = Buffer.from(buffer, byteOffset, byteLength).toString('hex');
    return token === this.#options.settings.token;
  }

  #look(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    this.#sending = this.#lookOnce()
      .catch((err: unknown) =>
        this.#options.logger.debug({ err }, 'Redis did not answer: no canary was sent'),
      )
      .finally(() => {
        this.#isSending = false;
      });
  }

  async #lookOnce(): Promise<void> {
    const { link, settings, metrics, pauses } = this.#options;
    const { client } = link;
    const succeededAt = await link.answer(() => client.get(this.#key('succeeded')));
    if (succeededAt !== null) metrics.setSucceeded(Number(succeededAt) / 1_000);
    if (pauses.isPaused) return;
    const { everyMs } = settings;
    const claimed = await link.answer(() => client.set(this.#key('due'), '1', 'PX', everyMs, 'NX'));
    if (claimed === null) return;
    const openMs = everyMs * forgottenAfter;
    const isFirst = await link.answer(() => client.set(this.#key('open'), '1', 'PX', openMs, 'NX'));
    if (isFirst === null) {
      metrics.countMissed('queued');
      return;
    }
    await this.#send();
  }

  async #send(): Promise<void> {
    const { app, settings, queue, metrics, link } = this.#options;
    try {
      await queue.enqueue({
        app: app.id,
        token: settings.token,
        contentAvailable: true,
        pushType: 'background',
        priority: 5,
        ttl: Math.max(1, Math.ceil(settings.everyMs / 1_000)),
      });
    } catch (error) {
      metrics.countMissed('not-enqueued');
      this.#logChange('not-enqueued', (error as Error).message);
      await link.answer(() => link.client.del(this.#key('open')));
    }
  }

  async #noteEnd(outcome: CanaryOutcome): Promise<void> {
    const { link, metrics } = this.#options;
    await link.answer(() => link.client.del(this.#key('open')));
    if (outcome !== 'accepted') return;
    const nowMs = Date.now();
    metrics.setSucceeded(nowMs / 1_000);
    await link.answer(() => link.client.set(this.#key('succeeded'), nowMs));
  }

  /** Logs an outcome that differs from the one before. */
  #logChange(outcome: CanaryOutcome, reason: string | undefined): void {
    if (outcome === this.#lastOutcome) return;
    this.#lastOutcome = outcome;
    const { logger } = this.#options;
    if (outcome === 'accepted') logger.info('the canary is accepted again');
    else logger.error({ outcome, reason }, 'the canary was not accepted');
  }

  #key(name: 'due' | 'open' | 'succeeded'): string {
    const { link, app } = this.#options;
    return `${appPrefix(link.prefix, app.id)}:canary-${name}`;
  }
}

/** Makes the canaries of the apps that have one, which send over one queue. */
export class Canaries {
  readonly #queue: PushQueue;
  readonly #metricsOf: ReturnType<typeof createCanaryMetrics>;

  constructor(queue: PushQueue, register: Registry) {
    this.#queue = queue;
    this.#metricsOf = createCanaryMetrics(register);
  }

  /** Undefined: the app has no canary. */
  create(app: FleetApp, link: WorkerLink, pauses: AppPauses, logger: Logger): Canary | undefined {
    if (app.canary === undefined) return undefined;
    const metrics = this.#metricsOf(app.id);
    return new Canary({ app, settings: app.canary, link, queue: this.#queue, metrics, pauses, logger });
  }
}
