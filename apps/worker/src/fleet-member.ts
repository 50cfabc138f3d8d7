import {
  type AppControlOptions,
  type AppSlowed,
  type AppTrouble,
  agreedPause,
  beatWorker,
  type FleetWorker,
  pauseApp,
  readWorkers,
  removeWorker,
} from '@pushfleet/push-queue';
import type { WorkerLink } from '@pushfleet/push-queue/worker';
import { jitterMs, type Logger } from '@pushfleet/service-kit';

/** What a worker says of one of its apps, as it is now. */
interface MemberApp {
  readonly id: string;
  readonly trouble: AppTrouble | undefined;
  readonly slowed: AppSlowed | undefined;
}

export interface FleetMemberOptions {
  readonly link: WorkerLink;
  readonly worker: Pick<FleetWorker, 'id' | 'host' | 'pid' | 'version' | 'sinceMs'>;
  /** How often the fleet hears that this worker is alive. Default 3,000. */
  readonly beatIntervalMs?: number | undefined;
  readonly logger: Logger;
}

const defaultBeatIntervalMs = 3_000;
/** A worker that has missed so many beats is gone. */
const missedBeats = 4;
/** How often it beats while an operator waits for what the gateway says, and for how long, milliseconds. */
const attention = { intervalMs: 200, forMs: 5_000 };

/**
 * This worker as one of a fleet: says that it is alive and what it cannot do, and where the gateway has refused it,
 * pauses the fleet once no worker can send (docs/decisions/0023-pauses-of-a-fleet.md). One key in Redis and one script
 * call a beat, however many apps there are; the others are read only while the gateway refuses this one.
 */
export class FleetMember {
  readonly #options: FleetMemberOptions;
  readonly #control: AppControlOptions;
  readonly #beatIntervalMs: number;
  /** Undefined until it joins. */
  #apps: readonly MemberApp[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** Something has changed since the beat that is under way began. */
  #isStale = false;
  #attentiveUntilMs = 0;
  #isClosed = false;

  constructor(options: FleetMemberOptions) {
    this.#options = options;
    this.#control = { redis: options.link.client, prefix: options.link.prefix };
    this.#beatIntervalMs = options.beatIntervalMs ?? defaultBeatIntervalMs;
  }

  /** Joins the fleet, for these apps. Resolves when the first beat is in Redis, or has failed. */
  async join(apps: readonly MemberApp[]): Promise<void> {
    this.#apps = apps;
    this.beatSoon();
    await this.#running;
  }

  /** Beats at once, since what it says of an app has changed, or as soon as the beat under way has ended. */
  beatSoon(): void {
    this.#isStale = true;
    if (this.#apps === undefined || this.#isClosed || this.#running !== undefined) return;
    clearTimeout(this.#timer);
    this.#running = this.#beat().finally(() => {
      this.#running = undefined;
      this.#again();
    });
  }

  /** Beats often for a while, since an operator waits for what the gateway says. */
  beatOften(): void {
    this.#attentiveUntilMs = performance.now() + attention.forMs;
    this.beatSoon();
  }

  /** Leaves the fleet, with everything that it said. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
    const { link, worker } = this.#options;
    await link
      .answer(() => removeWorker(this.#control, worker.id))
      .catch((err: unknown) => this.#logFailure(err));
  }

  #again(): void {
    if (this.#isClosed) return;
    const isAttentive = performance.now() < this.#attentiveUntilMs;
    const calmMs = isAttentive ? attention.intervalMs : jitterMs(this.#beatIntervalMs, 0.25);
    this.#timer = setTimeout(() => this.beatSoon(), this.#isStale ? 0 : calmMs);
  }

  async #beat(): Promise<void> {
    const { link } = this.#options;
    this.#isStale = false;
    try {
      const lifeMs = this.#beatIntervalMs * missedBeats;
      await link.answer(() => beatWorker(this.#control, this.#describe(), lifeMs));
      await link.answer(() => this.#pauseWhereAllAgree());
    } catch (error) {
      this.#logFailure(error);
    }
  }

  #describe(): FleetWorker {
    const { worker } = this.#options;
    const apps = this.#apps ?? [];
    const troubles = apps.flatMap(({ id, trouble }) =>
      trouble === undefined ? [] : [[id, trouble] as const],
    );
    const slowed = apps.flatMap((app) => (app.slowed === undefined ? [] : [[app.id, app.slowed] as const]));
    return {
      ...worker,
      apps: apps.map(({ id }) => id),
      troubles: Object.fromEntries(troubles),
      slowed: Object.fromEntries(slowed),
    };
  }

  async #pauseWhereAllAgree(): Promise<void> {
    const isRefused = ({ trouble }: MemberApp) => trouble !== undefined && trouble.about !== 'worker';
    const refused = (this.#apps ?? []).filter(isRefused);
    if (refused.length === 0) return;
    const workers = await readWorkers(this.#control);
    for (const app of refused) {
      const pause = agreedPause(app.id, workers);
      // The gateway may have taken something while the others were read.
      if (pause !== undefined && isRefused(app)) await pauseApp(this.#control, app.id, pause);
    }
  }

  #logFailure(err: unknown): void {
    this.#options.logger.debug({ err }, 'the state of this worker could not be written to Redis');
  }
}
