import { setTimeout as delay } from 'node:timers/promises';
import { generateTokens } from '@pushfleet/testkit';
import { forEach, ProducerApi, type SendState } from './producer-api.ts';
import type { Progress } from './progress.ts';
import { badTokenPrefix, badTokenRule, binaryApp, http2App, type Stage } from './stage.ts';
import { sumOutcomes } from './tally.ts';

/** Devices in one file of an import. */
const importSize = 100_000;
/** How long everything may take to settle, milliseconds. */
const settleTimeoutMs = 180_000;

/** What happens in the demo, one act after another; keeps what was sent. */
export class Acts {
  readonly #stage: Stage;
  readonly #api: ProducerApi;
  readonly #progress: Progress;
  /** By how its state is asked for. */
  readonly #sends = new Map<() => Promise<SendState>, SendState | undefined>();
  readonly #tokens: readonly string[];
  readonly #badTokens: readonly string[];

  constructor(stage: Stage, progress: Progress, devices: number) {
    this.#stage = stage;
    this.#api = new ProducerApi(stage.producerUrl);
    this.#progress = progress;
    // Each costs a connection, of which a fleet opens few a second.
    const bad = Math.min(200, Math.max(50, Math.round(devices / 200)));
    const tokens = generateTokens({ count: devices });
    // Spread over the whole, so that each cuts a stream that is under way.
    const every = Math.floor(devices / bad);
    this.#tokens = tokens.map((token, place) => (isBad(place) ? badTokenPrefix + token.slice(4) : token));
    this.#badTokens = this.#tokens.filter((_, place) => isBad(place));
    function isBad(place: number): boolean {
      return place % every === every - 1 && place < every * bad;
    }
  }

  get outcomes() {
    return sumOutcomes([...this.#sends.values()].filter((state) => state !== undefined));
  }

  async registerDevices(): Promise<void> {
    let done = 0;
    for (let first = 0; first < this.#tokens.length; first += importSize) {
      done += await this.#api.importDevices(binaryApp, this.#tokens.slice(first, first + importSize));
      this.#progress.show(`registering devices: ${done} of ${this.#tokens.length}`);
    }
    this.#progress.say(
      `${done.toLocaleString('en')} devices registered, ${this.#badTokens.length} of them with tokens that the gateway will refuse.`,
    );
  }

  /**
   * A broadcast to all devices while the gateway cuts connections: at each bad token, and five times for maintenance.
   * Beside it, and not held up by it: single sends, and an app on HTTP/2.
   */
  async sendThroughCuts({
    singles,
    http2,
  }: {
    readonly singles: number;
    readonly http2: number;
  }): Promise<void> {
    const { control } = this.#stage.simulator;
    await control.faults({
      rules: [
        badTokenRule,
        {
          on: 'binary',
          match: { everyNth: Math.floor(this.#tokens.length / 7) },
          times: 5,
          action: { kind: 'shutdown' },
        },
      ],
    });
    await this.#broadcast('Spring sale', 'Everything must go');
    await this.#sendSingles(singles);
    await this.#send({
      app: http2App,
      defaults: { alert: 'Good morning over HTTP/2' },
      notifications: this.#goodTokens()
        .slice(0, http2)
        .map((token) => ({ token })),
    });
    await this.#settle('a broadcast, and single sends beside it');
    const { rejected } = await control.ledger();
    this.#progress.say(
      `1. A broadcast to all of them. The gateway cut a connection at each of ${rejected} bad tokens, and 5 times for maintenance.`,
    );
    this.#progress.say(
      `   Meanwhile ${singles} single sends went through the HTTP API, and ${http2.toLocaleString('en')} notifications to an app on HTTP/2.`,
    );
  }

  async #sendSingles(count: number): Promise<void> {
    await forEach(this.#goodTokens().slice(0, count), 32, async (token, place) => {
      await this.#send({
        app: binaryApp,
        token,
        alert: { title: 'Your order', body: `Order ${place + 1} is on its way` },
      });
    });
  }

  /**
   * A broadcast to all devices, in the middle of which one of the workers is killed. While another one takes over, the
   * feedback service names some devices; returns how many were deactivated in all.
   */
  async sendThroughKill(feedbackTuples: number): Promise<number> {
    const { simulator, workers } = this.#stage;
    const before = (await simulator.control.ledger()).received;
    const size = this.#goodTokens().length;
    // Slow enough to be in the middle of it.
    await simulator.control.faults({
      rules: [{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: size * 60 } }],
    });
    const fannedOut = await this.#broadcast('Last day', 'Tomorrow it will be too late');
    const victim = workers[0]!;
    while ((await simulator.control.ledger()).received - before < size / 4) await delay(20);
    await victim.kill();
    await simulator.control.faults({ rules: [] });
    // Whom feedback deactivates is in no audience any more.
    await fannedOut();
    const deactivated = await this.#sweepFeedback(feedbackTuples);
    await this.#settle('another worker takes over');
    this.#progress.say(
      `2. A broadcast to all of them again, and kill -9 of worker ${victim.process.pid} in the middle of it. Another worker took over.`,
    );
    this.#progress.say(
      `3. The feedback service named ${feedbackTuples} devices: ${feedbackTuples - 1} were deactivated, 1 was kept since it had registered again.`,
    );
    return deactivated;
  }

  /** Feedback for some devices, one of which has registered again since. */
  async #sweepFeedback(count: number): Promise<number> {
    const gone = this.#goodTokens().slice(-count);
    const [back, ...others] = gone;
    // Whole seconds. The devices registered in an earlier one.
    const time = Math.floor(Date.now() / 1000);
    await this.#api.registerDevice(binaryApp, back!);
    await this.#stage.simulator.control.feedback(gone.map((token) => ({ token, time })));
    await this.#waitUntilInactive(others.at(-1)!);
    let deactivated = 0;
    await forEach([...gone, ...this.#badTokens], 32, async (token) => {
      if (!(await this.#api.isActive(binaryApp, token))) deactivated++;
    });
    if (!(await this.#api.isActive(binaryApp, back!))) {
      throw new Error('The device that registered again was deactivated');
    }
    return deactivated;
  }

  #goodTokens(): readonly string[] {
    return this.#tokens.filter((token) => !token.startsWith(badTokenPrefix));
  }

  /** Returns what waits until its fan-out is over. */
  async #broadcast(title: string, body: string): Promise<() => Promise<void>> {
    const id = await this.#api.broadcast({ app: binaryApp, audience: { all: true }, alert: { title, body } });
    this.#sends.set(async () => this.#api.broadcastState(id), undefined);
    return async () => {
      while (!(await this.#api.broadcastState(id)).isFannedOut) await delay(20);
    };
  }

  async #send(body: Readonly<Record<string, unknown>>): Promise<void> {
    const id = await this.#api.send(body);
    this.#sends.set(async () => this.#api.batchState(id), undefined);
  }

  /** Waits until everything that was sent has an outcome. */
  async #settle(what: string): Promise<void> {
    const deadlineMs = performance.now() + settleTimeoutMs;
    for (;;) {
      await forEach(this.#unsettled(), 32, async (ask) => {
        this.#sends.set(ask, await ask());
      });
      const { enqueued, queued, accepted, rejected } = this.outcomes;
      this.#progress.show(
        `${what}: ${enqueued} enqueued, ${accepted} accepted, ${rejected} rejected, ${queued} still queued`,
      );
      if (this.#unsettled().length === 0) return;
      if (performance.now() > deadlineMs) {
        this.#progress.say(`${what}: not everything has an outcome after ${settleTimeoutMs / 1000} s`);
        return;
      }
      await delay(50);
    }
  }

  #unsettled(): (() => Promise<SendState>)[] {
    return [...this.#sends].flatMap(([ask, state]) =>
      state === undefined || !state.isComplete || state.queued > 0 ? [ask] : [],
    );
  }

  async #waitUntilInactive(token: string): Promise<void> {
    const deadlineMs = performance.now() + settleTimeoutMs;
    while (await this.#api.isActive(binaryApp, token)) {
      if (performance.now() > deadlineMs) throw new Error('The feedback was not applied in time');
      this.#progress.show('waiting for the sweeper');
      await delay(100);
    }
  }
}
