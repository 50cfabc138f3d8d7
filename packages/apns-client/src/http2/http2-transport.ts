import { createSecureContext, type SecureContext } from 'node:tls';
import { countOf } from '../binary/span.ts';
import { describeError } from '../node-error.ts';
import type { ConnectionEnd, NotificationRun, Transport, TransportState } from '../transport.ts';
import type { Verdict } from './answer-policy.ts';
import { Authorization } from './authorization.ts';
import { Backlog, type RunSpan } from './backlog.ts';
import {
  Http2Connection,
  type Http2ConnectionClosure,
  type Http2ConnectionEvents,
} from './http2-connection.ts';
import { Http2Gate } from './http2-gate.ts';
import {
  type Http2TransportOptions,
  type ResolvedHttp2Options,
  resolveHttp2Options,
} from './http2-transport-options.ts';
import { type OpenStream, spansOf } from './stream-table.ts';

// The HTTP/2 gateway behind the Transport interface: a backlog of spans, and a few connections that write from its
// front, the least loaded first. Every answer settles one notification; 200 is a proof.
//
// Everything handed over is in exactly one place: in the backlog (not written), in the window of one connection
// (written), in `#again` for the rest of a turn (to go back to the backlog), or settled.
//
// When the gateway refuses the credential, the transport pauses: everything goes back as unprocessed, and now and then
// a connection of its own asks with a request that can reach no device whether the trouble is over.

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 */
export function createHttp2Transport(options: Http2TransportOptions): Transport {
  return new Http2Transport(resolveHttp2Options(options));
}

let connectionsMade = 0;

/** UnrelatedKeyIdInToken on so many connections in a row is no matter of connections. */
const unrelatedBeforePause = 3;

export class Http2Transport implements Transport {
  readonly #options: ResolvedHttp2Options;
  readonly #gate: Http2Gate;
  readonly #backlog: Backlog;
  readonly #authorization: Authorization;
  readonly #connections = new Set<Http2Connection>();
  readonly #openedAtMs = new Map<Http2Connection, number>();
  readonly #events: Http2ConnectionEvents;
  readonly #unsubscribe: () => void;
  /** Undefined while the credential cannot be used. */
  #secureContext: SecureContext | undefined;
  /** To be sent again, from this turn of the event loop. */
  #again: OpenStream[] = [];
  #listener: () => void = () => {};
  #inFlight = 0;
  #full = false;
  #pumpScheduled = false;
  #unrelated = 0;
  #cancelConnectTimer: (() => void) | undefined;
  #cancelTick: (() => void) | undefined;
  #cancelDrainTimer: (() => void) | undefined;
  #isDraining = false;
  #drained: (() => void)[] = [];
  #destroying = false;
  #closed = false;
  #reportedState = 'idle';

  constructor(options: ResolvedHttp2Options) {
    this.#options = options;
    this.#gate = new Http2Gate(options);
    this.#backlog = new Backlog({
      clock: options.clock,
      topic: options.topic,
      settled: (count) => this.#settled(count),
    });
    this.#authorization = new Authorization(options.authentication, {
      ready: () => this.#goOn(),
      failed: (reason, isCertain) => this.#authorizationFailed(reason, isCertain),
    });
    this.#loadSecureContext();
    const { authentication } = options;
    this.#unsubscribe =
      authentication.kind === 'certificate'
        ? authentication.credential.onChange(() => this.#certificateChanged())
        : authentication.tokens.onChange(() => this.#credentialMended());
    this.#events = {
      opened: (connection) => this.#opened(connection),
      turned: () => this.#turned(),
      accepted: (run, from, to) => {
        this.#unrelated = 0;
        this.#provenUnlessPaused();
        this.#settled(to - from);
        run.sink.accepted(from, to, 'proved');
      },
      judged: (connection, stream, verdict) => this.#judged(connection, stream, verdict),
      refused: (reason) => this.#pause(reason),
      probed: (connection, stream, verdict) => this.#probed(connection, stream, verdict),
      unprocessed: (streams) => {
        for (const stream of streams) this.#again.push({ ...stream });
      },
      uncertain: (spans, cause) => this.#uncertain(spans, cause),
      ended: (connection, closure) => this.#ended(connection, closure),
    };
  }

  get state(): TransportState {
    if (this.#closed) return { kind: 'closed' };
    const { pause } = this.#gate;
    if (pause !== undefined) return { kind: 'paused', ...pause };
    const connections = this.#count((connection) => connection.isOpen);
    if (connections > 0) return { kind: 'open', connections };
    if (this.#connections.size > 0) return { kind: 'connecting', attempt: this.#gate.failures + 1 };
    const now = this.#options.clock.now();
    const delay = this.#gate.delayMs(now);
    if (delay > 0 && this.#gate.failures > 0) {
      return { kind: 'backing-off', untilMs: now + delay, cause: this.#gate.cause };
    }
    return { kind: 'idle' };
  }

  get room(): number {
    if (this.#closed || this.#isDraining || this.#gate.pause !== undefined) return 0;
    const { window, connections } = this.#options;
    return window * connections - this.#inFlight;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  onRoom(listener: () => void): void {
    this.#listener = listener;
  }

  submit(run: NotificationRun): void {
    const { count } = run.columns;
    if (this.#closed || this.#isDraining || this.#gate.pause !== undefined) {
      run.sink.unprocessed(0, count);
      return;
    }
    this.#backlog.push(run);
    this.#inFlight += count;
    this.#full = this.room <= 0;
    this.#goOnSoon();
  }

  /** What is submitted in one turn goes out in one write. */
  #goOnSoon(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#goOn();
    });
  }

  drain(deadlineMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained.push(resolve);
    this.#isDraining = true;
    this.#cancelDrainTimer ??= this.#options.clock.after(deadlineMs, () => this.destroy());
    this.#handBack();
    for (const connection of [...this.#connections]) connection.leave('drained', 'drained');
    this.#finishWhenDrained();
    return promise;
  }

  destroy(): void {
    if (this.#closed) return;
    this.#isDraining = true;
    this.#destroying = true;
    for (const connection of [...this.#connections]) connection.destroy('drained');
    this.#handBack();
    this.#finish();
  }

  /** Writes from the front of the backlog to the least loaded connection, as long as one takes something. */
  #pump(): void {
    if (this.#closed || this.#destroying || this.#gate.pause !== undefined) return;
    while (this.#backlog.size > 0) {
      if (!this.#authorization.isReady) {
        this.#authorization.prepare();
        break;
      }
      const connection = this.#leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#backlog, this.#authorization.current());
    }
    if (this.#backlog.size > 0 && this.#authorization.isReady) this.#connectIfUseful();
    this.#keepTicking();
    // What has expired made room without a word from the gateway.
    this.#tellRoom();
  }

  /** The end of a turn: what is to be sent again goes in front of what waits, in its order. */
  #turned(): void {
    if (this.#again.length > 0) {
      const again = this.#again;
      this.#again = [];
      if (this.#gate.pause !== undefined || this.#isDraining) {
        for (const span of spansOf(again)) this.#unprocessed(span);
      } else {
        this.#backlog.unshift(spansOf(again));
        this.#observe(() => this.#options.observer.replayed?.(again.length));
      }
    }
    if (this.#gate.pause !== undefined) this.#handBack();
    this.#pump();
    this.#finishWhenDrained();
  }

  #leastLoaded(): Http2Connection | undefined {
    let best: Http2Connection | undefined;
    for (const connection of this.#connections) {
      if (!connection.isWritable) continue;
      if (best === undefined || connection.streams.size < best.streams.size) best = connection;
    }
    return best;
  }

  /** Opens one more connection when all are at their limit, none is on its way, and there may be more. */
  #connectIfUseful(): void {
    let active = 0;
    for (const connection of this.#connections) {
      if (connection.isLeaving) continue;
      active++;
      // One that is on its way, or about to be trusted, comes first.
      if (!connection.isOpen || !connection.isTrusted || !connection.isSaturated) return;
    }
    if (active < this.#options.connections) this.#connect();
  }

  #connect(): void {
    const { clock } = this.#options;
    const delay = this.#gate.delayMs(clock.now());
    if (delay > 0) {
      this.#goOnAfter(delay);
      return;
    }
    if (this.#closed || this.#isDraining || this.#secureContext === undefined) return;
    this.#gate.started(clock.now());
    const connection = new Http2Connection(
      this.#options,
      {
        id: `${this.#options.host}#${++connectionsMade}`,
        secureContext: this.#secureContext,
        needsToken: this.#options.authentication.kind === 'token',
      },
      this.#events,
    );
    this.#connections.add(connection);
    this.#keepTicking();
    this.#reportState();
  }

  #goOnAfter(ms: number): void {
    this.#cancelConnectTimer ??= this.#options.clock.after(ms, () => {
      this.#cancelConnectTimer = undefined;
      this.#goOn();
    });
    this.#reportState();
  }

  #goOn(): void {
    if (this.#gate.pause !== undefined) this.#connectToProbe();
    else this.#pump();
  }

  /** Paused: a connection is to ask, when it is time, whether the trouble is over. */
  #connectToProbe(): void {
    if (this.#closed || this.#isDraining || this.#cancelConnectTimer !== undefined) return;
    if (this.#count((connection) => !connection.isLeaving) > 0) return;
    const isTime = this.#gate.delayMs(this.#options.clock.now()) === 0;
    if (isTime && !this.#authorization.isReady) this.#authorization.prepare();
    else this.#connect();
  }

  #opened(connection: Http2Connection): void {
    const { clock, observer } = this.#options;
    this.#openedAtMs.set(connection, clock.now());
    this.#observe(() => observer.connectionOpened?.(connection.id));
    if (this.#gate.pause !== undefined) connection.probe(this.#authorization.current());
    this.#reportState();
  }

  #judged(connection: Http2Connection, stream: OpenStream, { action, answer }: Verdict): void {
    const { run, position, authorization } = stream;
    this.#observe(() => this.#options.observer.errorResponse?.(connection.id, answer.status));
    switch (action) {
      case 'reject':
        this.#provenUnlessPaused();
        this.#settled(1);
        run.sink.rejected(position, answer);
        return;
      case 'retry':
      case 'retry-elsewhere':
        this.#provenUnlessPaused();
        this.#settled(1);
        run.sink.retryable(position, answer);
        if (action === 'retry-elsewhere') connection.leave('error-response', answer.reason);
        return;
      case 'pause':
      case 'sign-anew':
      case 'reconnect':
      case 'keep-token':
        // Nothing is wrong with the notification.
        this.#again.push({ ...stream });
        this.#credentialTrouble(connection, action, answer.reason, authorization);
        return;
      default:
        action satisfies never;
    }
  }

  #credentialTrouble(
    connection: Http2Connection,
    action: 'pause' | 'sign-anew' | 'reconnect' | 'keep-token',
    reason: string,
    authorization: string | undefined,
  ): void {
    connection.leave(action === 'pause' ? 'credential-refused' : 'error-response', reason);
    switch (action) {
      case 'pause':
        this.#pause(reason);
        return;
      case 'sign-anew':
        this.#authorization.expired(authorization, reason);
        return;
      case 'reconnect':
        if (++this.#unrelated >= unrelatedBeforePause) this.#pause(reason);
        return;
      case 'keep-token':
        if (this.#authorization.keepOld(authorization)) return;
        this.#hold(reason);
        return;
      default:
        action satisfies never;
    }
  }

  /** TooManyProviderTokenUpdates: asking again would make it worse. */
  #hold(reason: string): void {
    const { clock, tokenUpdatePauseMs } = this.#options;
    const now = clock.now();
    this.#gate.holdUntil(now, reason, now + tokenUpdatePauseMs);
    this.#becomePaused();
  }

  #pause(reason: string): void {
    this.#gate.refused(this.#options.clock.now(), reason, true);
    this.#becomePaused();
  }

  #becomePaused(): void {
    this.#handBack();
    for (const connection of [...this.#connections]) connection.leave('credential-refused', 'paused');
    this.#reportState();
    this.#connectToProbe();
  }

  /** Any answer that is not about the credential shows that it is good. */
  #probed(connection: Http2Connection, stream: OpenStream, verdict: Verdict | undefined): void {
    const action = verdict?.action ?? 'reject';
    if (action === 'reject' || action === 'retry' || action === 'retry-elsewhere') {
      this.#gate.answered();
      this.#unrelated = 0;
      this.#reportState();
      return;
    }
    const { reason } = verdict!.answer;
    connection.leave('credential-refused', reason);
    if (action === 'sign-anew') this.#authorization.expired(stream.authorization, reason);
    if (action === 'keep-token') this.#hold(reason);
    else this.#pause(reason);
  }

  #authorizationFailed(reason: string, isCertain: boolean): void {
    if (this.#closed || this.#isDraining) return;
    if (isCertain) {
      this.#pause(reason);
      return;
    }
    const now = this.#options.clock.now();
    this.#gate.failed(now, reason);
    this.#goOnAfter(this.#gate.delayMs(now));
  }

  #uncertain(spans: readonly RunSpan[], cause: ConnectionEnd): void {
    if (spans.length === 0) return;
    const count = countOf(spans);
    this.#observe(() => this.#options.observer.uncertain?.(count, cause));
    for (const { run, from, to } of spans) {
      this.#settled(to - from);
      run.sink.uncertain(from, to, cause);
    }
  }

  #ended(connection: Http2Connection, closure: Http2ConnectionClosure): void {
    const { clock, observer } = this.#options;
    this.#connections.delete(connection);
    const openedAt = this.#openedAtMs.get(connection);
    this.#openedAtMs.delete(connection);
    const lifetimeMs = openedAt === undefined ? 0 : clock.now() - openedAt;
    this.#observe(() => observer.connectionClosed?.(connection.id, closure.end, lifetimeMs));
    this.#uncertain(closure.uncertain, closure.end);
    this.#judgeEnd(closure);
    this.#reportState();
    if (this.#destroying) return;
    this.#turned();
    if (this.#gate.pause !== undefined && !this.#isDraining) this.#connectToProbe();
  }

  /** What an ended connection says of the gateway and of our credential. */
  #judgeEnd({ end, detail, answered }: Http2ConnectionClosure): void {
    const now = this.#options.clock.now();
    switch (end) {
      case 'error-response':
      case 'drained':
      case 'rotated':
      case 'idle':
        return;
      case 'goaway':
        // A gateway that sends everybody away is left alone for a while.
        if (!answered) this.#gate.failed(now, detail);
        return;
      case 'tls-failed':
      case 'credential-refused':
        // Paused, it is we who leave so.
        if (this.#gate.pause !== undefined && end === 'credential-refused') return;
        this.#gate.refused(now, detail, end === 'credential-refused');
        if (this.#gate.pause !== undefined) this.#becomePaused();
        return;
      default:
        this.#gate.failed(now, detail);
    }
  }

  #keepTicking(): void {
    const { clock, streamTimeoutMs, pingAfterMs, pingTimeoutMs } = this.#options;
    if (this.#cancelTick !== undefined || this.#connections.size === 0 || this.#closed) return;
    const shortest = Math.min(streamTimeoutMs, pingAfterMs, pingTimeoutMs);
    this.#cancelTick = clock.after(Math.min(1_000, Math.max(5, shortest / 8)), () => {
      this.#cancelTick = undefined;
      const hasWork = this.#backlog.size > 0 || this.#gate.pause !== undefined;
      for (const connection of [...this.#connections]) connection.tick(hasWork);
      this.#turned();
      this.#keepTicking();
    });
  }

  #certificateChanged(): void {
    if (!this.#loadSecureContext()) return;
    for (const connection of [...this.#connections])
      connection.leave('rotated', 'the certificate was renewed');
    this.#credentialMended();
  }

  #credentialMended(): void {
    if (this.#closed || this.#isDraining) return;
    if (this.#gate.pause !== undefined) {
      this.#gate.retryNow();
      this.#cancelConnectTimer?.();
      this.#cancelConnectTimer = undefined;
    }
    this.#goOnSoon();
  }

  #loadSecureContext(): boolean {
    const { ca, clock, authentication } = this.#options;
    const common = { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) } as const;
    try {
      const own = authentication.kind === 'certificate' ? authentication.credential.current() : undefined;
      this.#secureContext = createSecureContext(
        own === undefined ? common : { ...common, cert: own.cert, key: own.key },
      );
      return true;
    } catch (error) {
      // Connections that live on the last good one go on.
      if (this.#secureContext === undefined) this.#gate.refused(clock.now(), describeError(error), true);
      return false;
    }
  }

  #handBack(): void {
    for (const span of this.#backlog.takeAll()) this.#unprocessed(span);
    const again = this.#again;
    this.#again = [];
    for (const span of spansOf(again)) this.#unprocessed(span);
  }

  #unprocessed({ run, from, to }: RunSpan): void {
    this.#settled(to - from);
    run.sink.unprocessed(from, to);
  }

  #finishWhenDrained(): void {
    if (this.#isDraining && !this.#destroying && this.#connections.size === 0) this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    this.#authorization.close();
    this.#cancelConnectTimer?.();
    this.#cancelTick?.();
    this.#cancelDrainTimer?.();
    this.#reportState();
    for (const resolve of this.#drained) resolve();
  }

  #provenUnlessPaused(): void {
    if (this.#gate.pause === undefined) this.#gate.answered();
  }

  #settled(count: number): void {
    this.#inFlight -= count;
  }

  #tellRoom(): void {
    if (this.#full && this.room > 0) {
      this.#full = false;
      this.#observe(this.#listener);
    }
  }

  #reportState(): void {
    const { state } = this;
    if (state.kind === this.#reportedState) return;
    this.#reportedState = state.kind;
    this.#full = this.#full || state.kind === 'paused';
    this.#observe(() => this.#options.observer.stateChanged?.(state));
    this.#observe(this.#listener);
  }

  /** Observers cannot break the caller. */
  #observe(call: () => void): void {
    try {
      call();
    } catch {
      // An observer's failure is the observer's.
    }
  }

  #count(is: (connection: Http2Connection) => boolean): number {
    let count = 0;
    for (const connection of this.#connections) if (is(connection)) count++;
    return count;
  }
}
