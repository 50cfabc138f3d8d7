import type { ConnectGate } from '../transport/connect-gate.ts';
import type { Connections } from '../transport/connections.ts';
import { countOf } from '../transport/span.ts';
import type {
  ConnectionEnd,
  NotificationRun,
  PauseKind,
  Transport,
  TransportFigures,
} from '../transport/transport.ts';
import { type Protocol, TransportCore } from '../transport/transport-core.ts';
import { uncertainBy } from '../transport/verdicts.ts';
import { Access, type AccessEvents } from './access.ts';
import type { AnswerMeaning } from './answer-policy.ts';
import { Backlog } from './backlog.ts';
import type { Http2Closure } from './closure.ts';
import type { Http2Connection, Http2ConnectionEvents } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { Consequences } from './consequences.ts';
import { type Http2TransportOptions, type ResolvedHttp2Options, resolveHttp2Options } from './options.ts';
import { RefusedTopics } from './refused-topics.ts';
import { Http2Run, type Http2Span } from './run.ts';
import type { OpenStream } from './stream-table.ts';

// The HTTP/2 gateway behind the Transport interface: a backlog of spans, and a few connections that write from its
// front, the least loaded first. Every answer settles one notification; 200 is a proof.
//
// When the gateway refuses the credential or the app's topic, or cannot be reached, the transport pauses: everything goes
// back as unprocessed, and now and then a connection of its own asks with a request that can reach no device whether the
// trouble is over.

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 */
export function createHttp2Transport(options: Http2TransportOptions): Transport {
  return buildHttp2Transport(resolveHttp2Options(options));
}

export function buildHttp2Transport(options: ResolvedHttp2Options): Transport {
  return new TransportCore(options, (core) => new Http2Protocol(core, options));
}

class Http2Protocol implements Protocol, Http2ConnectionEvents, AccessEvents {
  readonly #core: TransportCore;
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #backlog: Backlog;
  readonly #consequences: Consequences;
  readonly #pool: ConnectionPool;
  readonly #tickMs: number;
  #cancelConnectTimer: (() => void) | undefined;

  constructor(core: TransportCore, options: ResolvedHttp2Options) {
    const { clock, streamTimeoutMs, pingAfterMs, pingTimeoutMs } = options;
    this.#core = core;
    this.#options = options;
    this.#access = new Access(options, this);
    const refusedTopics = new RefusedTopics(options.pauseProbeMs);
    this.#backlog = new Backlog(clock, refusedTopics);
    this.#consequences = new Consequences(options, this.#access, this.#backlog, refusedTopics);
    this.#pool = new ConnectionPool(options, this.#access, this);
    const shortestMs = Math.min(streamTimeoutMs, pingAfterMs, pingTimeoutMs);
    this.#tickMs = Math.min(1_000, Math.max(5, shortestMs / 8));
  }

  get gate(): ConnectGate {
    return this.#access.gate;
  }

  get connections(): Connections<Http2Connection> {
    return this.#pool.connections;
  }

  get figures(): TransportFigures {
    return this.#pool.figures;
  }

  enqueue(run: NotificationRun): void {
    this.#backlog.push(new Http2Run(run, { topic: this.#options.topic, tally: this.#core.tally }));
    this.#core.announcer.roomTaken();
  }

  pump(): void {
    if (this.#access.pause !== undefined) this.#askWhetherOver();
    else this.#write();
  }

  tick(): void {
    this.#pool.tick(this.#backlog.size, this.#access.pause !== undefined);
    this.progressed();
    this.#keepTicking();
  }

  takeWaiting(): Http2Span[] {
    return this.#backlog.takeAll();
  }

  retry(): void {
    this.#cancelConnectTimer?.();
    this.#cancelConnectTimer = undefined;
    this.#core.pumpSoon();
  }

  drain(): void {
    this.#core.handBack();
    this.#pool.leaveAll('drained', 'drained');
    this.#core.closeWhenDrained();
  }

  destroy(): void {
    this.#pool.destroyAll('drained');
  }

  close(): void {
    this.#access.close();
    this.#cancelConnectTimer?.();
  }

  opened(connection: Http2Connection): void {
    this.#pool.opened(connection);
    this.#core.announcer.observer.connectionOpened(connection.id, connection.isResumed);
    this.#core.announcer.announceState();
  }

  accepted(run: Http2Run, from: number, to: number): void {
    this.#consequences.accepted(run, from, to);
  }

  judged(connection: Http2Connection, stream: OpenStream, meaning: AnswerMeaning): void {
    this.#core.announcer.observer.errorResponse(connection.id, meaning.answer.status);
    if (this.#consequences.judged(connection, stream, meaning) === 'pause') this.#pause();
  }

  probed(connection: Http2Connection, stream: OpenStream, meaning: AnswerMeaning | undefined): void {
    if (this.#consequences.probed(connection, stream, meaning) === 'pause') this.#pause();
    else this.#core.announcer.announceState();
  }

  credentialRefused(reason: string): void {
    this.#access.lost(reason);
    this.#pause();
  }

  doubted(end: ConnectionEnd, reason: string): void {
    const wasPaused = this.#access.pause !== undefined;
    this.#access.doubted(end, reason, this.connections.open === 0);
    if (!wasPaused && this.#access.pause !== undefined) this.#pause();
  }

  unprocessed(streams: readonly OpenStream[]): void {
    for (const stream of streams) this.#backlog.sendAgain(stream);
  }

  uncertain(spans: readonly Http2Span[], cause: ConnectionEnd): void {
    if (spans.length === 0) return;
    this.#core.announcer.observer.uncertain(countOf(spans), cause);
    for (const { run, from, to } of spans) run.settled(from, to, uncertainBy[cause]);
  }

  /** The end of a turn: what is to be sent again goes in front of what waits. */
  progressed(): void {
    if (this.#access.pause !== undefined || !this.#core.isRunning) {
      this.#core.handBack();
      this.#askWhetherOver();
    } else {
      const replayed = this.#backlog.restore();
      if (replayed > 0) this.#core.announcer.observer.replayed(replayed);
    }
    this.#write();
    this.#core.closeWhenDrained();
  }

  ended(connection: Http2Connection, closure: Http2Closure): void {
    this.connections.delete(connection);
    this.#pool.ended(closure);
    this.#core.announcer.observer.connectionClosed(connection.id, closure.end, closure.livedMs);
    this.uncertain(closure.uncertain, closure.end);
    const wasPaused = this.#access.pause !== undefined;
    this.#access.judgeEnd(closure, this.connections.open === 0);
    if (!wasPaused && this.#access.pause !== undefined) this.#pause();
    this.#core.announcer.announceState();
    if (!this.#core.isOver) this.progressed();
  }

  tokenReady(): void {
    if (!this.#core.isOver) this.pump();
  }

  tokenFailed(reason: string, about: PauseKind | undefined): void {
    if (!this.#core.isRunning) return;
    if (about !== undefined) {
      this.#access.lost(reason, about);
      this.#pause();
      return;
    }
    const { gate } = this.#access;
    const now = this.#options.clock.now();
    gate.failed(now, reason);
    this.#pumpAfter(gate.delayMs(now));
  }

  certificateRenewed(): void {
    this.#pool.renew();
  }

  credentialChanged(): void {
    if (this.#access.pause !== undefined) this.#core.probeNow();
    else if (this.#core.isRunning) this.#core.pumpSoon();
  }

  holdChanged(): void {
    this.retry();
  }

  #keepTicking(): void {
    if (this.connections.size > 0) this.#core.tickWithin(this.#tickMs);
  }

  #pumpAfter(ms: number): void {
    this.#cancelConnectTimer ??= this.#options.clock.after(ms, () => {
      this.#cancelConnectTimer = undefined;
      this.pump();
    });
    this.#core.announcer.announceState();
  }

  /** Writes from the front of the backlog to the least loaded connection, as long as one takes something. */
  #write(): void {
    if (this.#core.isOver || this.#access.pause !== undefined) return;
    const { authorization } = this.#access;
    while (this.#backlog.size > 0) {
      if (!authorization.isReady) {
        authorization.prepare();
        break;
      }
      const connection = this.connections.leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#backlog, authorization.current());
    }
    this.#pool.look(this.#backlog.size);
    if (this.#backlog.size > 0 && authorization.isReady) this.#awaitConnection(this.#pool.grow());
    else if (this.#core.isRunning && this.#pool.isShort) this.#pool.grow();
    this.#keepTicking();
    // What has expired made room without a word from the gateway.
    this.#core.announcer.roomMade();
  }

  /** Paused: when it is time, a connection asks whether the trouble is over. */
  #askWhetherOver(): void {
    if (!this.#core.isRunning || this.#access.pause === undefined) return;
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
    if (delayMs > 0) this.#pumpAfter(delayMs);
    this.#keepTicking();
    this.#core.announcer.announceState();
  }

  /** The gateway does not let us send. */
  #pause(): void {
    this.#core.handBack();
    const isCredential = this.#access.pause?.about === 'credential';
    this.#pool.leaveAll(isCredential ? 'credential-refused' : 'error-response', 'paused');
    this.#core.announcer.announceState();
    this.#askWhetherOver();
  }
}
