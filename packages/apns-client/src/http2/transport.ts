import { Announcer } from '../transport/announcer.ts';
import { countOf } from '../transport/span.ts';
import { Ticker } from '../transport/ticker.ts';
import type { Tally } from '../transport/tracked-run.ts';
import type {
  ConnectionEnd,
  GatewayAnswer,
  NotificationRun,
  PauseKind,
  Transport,
  TransportState,
} from '../transport/transport.ts';
import { stateOf } from '../transport/transport-state.ts';
import { Access, type AccessEvents } from './access.ts';
import { type CredentialAction, isAboutCredential, type Verdict } from './answer-policy.ts';
import { Backlog } from './backlog.ts';
import type { Http2ConnectionClosure } from './closure.ts';
import type { Http2Connection, Http2ConnectionEvents } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { type Http2TransportOptions, type ResolvedHttp2Options, resolveHttp2Options } from './options.ts';
import { RefusedTopics } from './refused-topics.ts';
import { Http2Run, type Http2Span } from './run.ts';
import type { OpenStream } from './stream-table.ts';

// The HTTP/2 gateway behind the Transport interface: a backlog of spans, and a few connections that write from its
// front, the least loaded first. Every answer settles one notification; 200 is a proof.
//
// Everything handed over is in exactly one place: in the backlog (not written, or for the rest of a turn to be sent
// again), in the window of one connection (written), or settled.
//
// When the gateway refuses the credential or the app's topic, or cannot be reached, the transport pauses: everything goes
// back as unprocessed, and now and then a connection of its own asks with a request that can reach no device whether the
// trouble is over.

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 */
export function createHttp2Transport(options: Http2TransportOptions): Transport {
  return new Http2Transport(resolveHttp2Options(options));
}

/** `closing`: everything is being handed back, and nothing may be written any more. */
type Phase = 'running' | 'draining' | 'closing' | 'closed';

export class Http2Transport implements Transport, Http2ConnectionEvents, AccessEvents {
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #backlog: Backlog;
  readonly #refusedTopics: RefusedTopics;
  readonly #pool: ConnectionPool;
  readonly #announcer: Announcer;
  readonly #ticker: Ticker;
  readonly #tickMs: number;
  readonly #tally: Tally = { inFlight: 0 };
  readonly #drained: (() => void)[] = [];
  #phase: Phase = 'running';
  #isPumpScheduled = false;
  #cancelConnectTimer: (() => void) | undefined;
  #cancelDrainTimer: (() => void) | undefined;

  constructor(options: ResolvedHttp2Options) {
    const { clock, streamTimeoutMs, pingAfterMs, pingTimeoutMs } = options;
    this.#options = options;
    this.#access = new Access(options, this);
    this.#refusedTopics = new RefusedTopics(options.pauseProbeMs);
    this.#backlog = new Backlog(clock, this.#refusedTopics);
    this.#pool = new ConnectionPool(options, this.#access, this);
    this.#announcer = new Announcer(this, options.observer);
    this.#ticker = new Ticker(clock, () => this.#tick());
    const shortestMs = Math.min(streamTimeoutMs, pingAfterMs, pingTimeoutMs);
    this.#tickMs = Math.min(1_000, Math.max(5, shortestMs / 8));
  }

  get state(): TransportState {
    if (this.#phase === 'closed') return { kind: 'closed' };
    const { openConnections: open, size: all } = this.#pool;
    return stateOf(this.#access.gate, { open, all }, this.#options.clock.now());
  }

  get room(): number {
    const { window, connections } = this.#options;
    return this.#takesRuns ? window * connections - this.#tally.inFlight : 0;
  }

  get inFlight(): number {
    return this.#tally.inFlight;
  }

  onRoom(listener: () => void): void {
    this.#announcer.onRoom(listener);
  }

  submit(run: NotificationRun): void {
    if (!this.#takesRuns) {
      run.sink.unprocessed(0, run.columns.count);
      return;
    }
    this.#backlog.push(new Http2Run(run, { topic: this.#options.topic, tally: this.#tally }));
    this.#announcer.roomTaken();
    this.#goOnSoon();
  }

  recall(): void {
    this.#handBack();
    this.#announcer.roomMade();
  }

  probeNow(): void {
    if (this.#phase !== 'running') return;
    this.#access.gate.retryNow();
    this.#cancelConnectTimer?.();
    this.#cancelConnectTimer = undefined;
    this.#goOnSoon();
  }

  drain(deadlineMs: number): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve();
    const drained = new Promise<void>((resolve) => void this.#drained.push(resolve));
    if (this.#phase === 'running') {
      this.#phase = 'draining';
      this.#cancelDrainTimer = this.#options.clock.after(deadlineMs, () => this.destroy());
      this.#handBack();
      this.#pool.leaveAll('drained', 'drained');
      this.#closeWhenDrained();
    }
    return drained;
  }

  destroy(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    this.#phase = 'closing';
    this.#pool.destroyAll('drained');
    this.#handBack();
    this.#close();
  }

  opened(connection: Http2Connection): void {
    this.#announcer.tell.connectionOpened(connection.id);
    this.#announcer.state();
  }

  accepted(run: Http2Run, from: number, to: number): void {
    this.#access.decided();
    if (this.#refusedTopics.size > 0) {
      for (let position = from; position < to; position++) {
        this.#refusedTopics.allowed(run.headers.topic(position));
      }
    }
    run.accepted(from, to, 'proved');
  }

  judged(connection: Http2Connection, stream: OpenStream, verdict: Verdict): void {
    const { run, position } = stream;
    const { action, answer } = verdict;
    this.#announcer.tell.errorResponse(connection.id, answer.status);
    if (isAboutCredential(action)) {
      this.#credentialRefused(connection, stream, action, answer.reason);
      return;
    }
    const isServerError = answer.status >= 500;
    if (action !== 'foreign' && !isServerError) this.#access.decided();
    if (action === 'topic-refused') this.#topicRefused(connection, stream, answer);
    else if (action === 'reject') run.rejected(position, answer);
    else run.retryable(position, answer);
    if (action === 'foreign') {
      connection.doubt('foreign-answers', `${answer.status} without the gateway's own body`);
    } else if (action === 'retry-elsewhere') {
      if (isServerError && connection.isOpen) this.#access.failed(answer.reason);
      connection.leave('error-response', answer.reason);
    }
  }

  probed(connection: Http2Connection, stream: OpenStream, verdict: Verdict | undefined): void {
    switch (this.#access.probed(stream, verdict)) {
      case 'lifted':
        this.#announcer.state();
        return;
      case 'refused':
        connection.leave('credential-refused', verdict!.answer.reason);
        break;
      case 'unknown':
        connection.leave(
          verdict!.action === 'foreign' ? 'foreign-answers' : 'gateway-errors',
          `the probe was answered with ${verdict!.answer.status}`,
        );
        break;
    }
    this.#rest();
  }

  refused(reason: string): void {
    this.#access.lost(reason);
    this.#rest();
  }

  doubted(end: ConnectionEnd, reason: string): void {
    const wasPaused = this.#access.pause !== undefined;
    this.#access.doubted(end, reason, this.#pool.openConnections === 0);
    if (!wasPaused && this.#access.pause !== undefined) this.#rest();
  }

  unprocessed(streams: readonly OpenStream[]): void {
    for (const stream of streams) this.#backlog.sendAgain(stream);
  }

  uncertain(spans: readonly Http2Span[], cause: ConnectionEnd): void {
    if (spans.length === 0) return;
    this.#announcer.tell.uncertain(countOf(spans), cause);
    for (const { run, from, to } of spans) run.uncertain(from, to, cause);
  }

  /** The end of a turn: what is to be sent again goes in front of what waits. */
  turned(): void {
    if (this.#access.pause !== undefined || this.#phase !== 'running') {
      this.#handBack();
      this.#askWhetherOver();
    } else {
      const replayed = this.#backlog.restore();
      if (replayed > 0) this.#announcer.tell.replayed(replayed);
    }
    this.#pump();
    this.#closeWhenDrained();
  }

  ended(connection: Http2Connection, closure: Http2ConnectionClosure): void {
    this.#pool.remove(connection);
    this.#announcer.tell.connectionClosed(connection.id, closure.end, closure.livedMs);
    this.uncertain(closure.uncertain, closure.end);
    const wasPaused = this.#access.pause !== undefined;
    this.#access.judgeEnd(closure, this.#pool.openConnections === 0);
    if (!wasPaused && this.#access.pause !== undefined) this.#rest();
    this.#announcer.state();
    if (this.#phase === 'closing') return;
    this.turned();
  }

  /** There is a provider token again. */
  ready(): void {
    this.#goOn();
  }

  /** There will be no provider token, for now. */
  failed(reason: string, about: PauseKind | undefined): void {
    if (this.#phase !== 'running') return;
    if (about !== undefined) {
      this.#access.lost(reason, about);
      this.#rest();
      return;
    }
    const { gate } = this.#access;
    const now = this.#options.clock.now();
    gate.failed(now, reason);
    this.#goOnAfter(gate.delayMs(now));
  }

  certificateRenewed(): void {
    this.#pool.leaveAll('rotated', 'the certificate was renewed');
  }

  credentialChanged(): void {
    if (this.#access.pause !== undefined) this.probeNow();
    else if (this.#phase === 'running') this.#goOnSoon();
  }

  holdChanged(): void {
    this.#cancelConnectTimer?.();
    this.#cancelConnectTimer = undefined;
    this.#goOnSoon();
  }

  get #takesRuns(): boolean {
    return this.#phase === 'running' && this.#access.pause === undefined;
  }

  #tick(): void {
    this.#pool.tick(this.#backlog.size > 0 || this.#access.pause !== undefined);
    this.turned();
    this.#keepTicking();
  }

  #keepTicking(): void {
    if (this.#pool.size > 0 && this.#phase !== 'closed') this.#ticker.within(this.#tickMs);
  }

  /** What is submitted in one turn goes out in one write. */
  #goOnSoon(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    queueMicrotask(() => {
      this.#isPumpScheduled = false;
      this.#goOn();
    });
  }

  #goOnAfter(ms: number): void {
    this.#cancelConnectTimer ??= this.#options.clock.after(ms, () => {
      this.#cancelConnectTimer = undefined;
      this.#goOn();
    });
    this.#announcer.state();
  }

  #goOn(): void {
    if (this.#access.pause !== undefined) this.#askWhetherOver();
    else this.#pump();
  }

  /** Writes from the front of the backlog to the least loaded connection, as long as one takes something. */
  #pump(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed' || this.#access.pause !== undefined) return;
    const { authorization } = this.#access;
    while (this.#backlog.size > 0) {
      if (!authorization.isReady) {
        authorization.prepare();
        break;
      }
      const connection = this.#pool.leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#backlog, authorization.current());
    }
    if (this.#backlog.size > 0 && authorization.isReady) this.#awaitConnection(this.#pool.grow());
    this.#keepTicking();
    // What has expired made room without a word from the gateway.
    this.#announcer.roomMade();
  }

  /** The credential is refused, which the notification cannot help. */
  #credentialRefused(
    connection: Http2Connection,
    stream: OpenStream,
    action: CredentialAction,
    reason: string,
  ): void {
    this.#backlog.sendAgain(stream);
    // Requests that were under way when the first was refused say nothing new, unless they pause.
    const isNews = connection.isOpen || action === 'pause';
    const verdict = isNews ? this.#access.refused(action, reason, stream.authorization) : 'go-on';
    connection.leave(action === 'pause' ? 'credential-refused' : 'error-response', reason);
    if (verdict === 'rest') this.#rest();
  }

  /** The app's own topic is refused: it rests. The topic of a push type alone: its notifications are put off. */
  #topicRefused(connection: Http2Connection, stream: OpenStream, answer: GatewayAnswer): void {
    const { run, position } = stream;
    const topic = run.headers.topic(position);
    if (topic !== this.#options.topic) {
      run.retryable(position, this.#refusedTopics.refused(topic, answer, this.#options.clock.now()));
      return;
    }
    this.#backlog.sendAgain(stream);
    this.#access.lost(answer.reason, 'topic');
    connection.leave('error-response', answer.reason);
    this.#rest();
  }

  /** Paused: when it is time, a connection asks whether the trouble is over. */
  #askWhetherOver(): void {
    if (this.#phase !== 'running' || this.#access.pause === undefined) return;
    const { authorization, gate } = this.#access;
    if (authorization.isReady) this.#pool.probe(authorization.current());
    if (this.#cancelConnectTimer !== undefined || !this.#pool.isLeft) return;
    const isTime = gate.delayMs(this.#options.clock.now()) === 0;
    if (isTime && !authorization.isReady) authorization.prepare();
    else this.#awaitConnection(this.#pool.connect());
  }

  /** @param delayMs How long the gate wants to be waited for; undefined: no connection is to come */
  #awaitConnection(delayMs: number | undefined): void {
    if (delayMs === undefined) return;
    if (delayMs > 0) this.#goOnAfter(delayMs);
    this.#keepTicking();
    this.#announcer.state();
  }

  /** The gateway does not let us send. */
  #rest(): void {
    this.#handBack();
    const isCredential = this.#access.pause?.about === 'credential';
    this.#pool.leaveAll(isCredential ? 'credential-refused' : 'error-response', 'paused');
    this.#announcer.state();
    this.#askWhetherOver();
  }

  #handBack(): void {
    for (const { run, from, to } of this.#backlog.takeAll()) run.unprocessed(from, to);
  }

  #closeWhenDrained(): void {
    if (this.#phase === 'draining' && this.#pool.size === 0) this.#close();
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#access.close();
    this.#ticker.stop();
    this.#cancelConnectTimer?.();
    this.#cancelDrainTimer?.();
    this.#announcer.state();
    for (const resolve of this.#drained) resolve();
  }
}
