import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { ActiveRule, NotificationView } from '../faults/active-rule.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { Http2Rule } from '../faults/fault-schema.ts';
import { ReadBrake } from '../faults/read-brake.ts';
import { ContentKey } from '../ledger/content-key.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { NotificationLog } from '../ledger/notification-log.ts';
import type { TokenSizes } from '../options.ts';
import { canAnswer, type Rejection } from './answers.ts';
import { answerAboutChannels } from './channels/answer-about-channels.ts';
import { channelAppOf } from './channels/channel-paths.ts';
import type { ChannelStore } from './channels/channel-store.ts';
import type { ClientAuthorization } from './client-authorization.ts';
import type { FrameGate } from './frame-gate.ts';
import { GoAway } from './go-away.ts';
import type { AnswerAction, Http2Faults } from './http2-faults.ts';
import { encodeMalformedAnswer } from './malformed-answer.ts';
import { checkPush } from './push-check.ts';
import { longestBody, type PushRequest, readPushRequest } from './push-request.ts';
import { type Push, PushSettlement } from './push-settlement.ts';
import { bundleIdOf } from './push-types.ts';
import { reasonStatus, statusOf } from './reasons.ts';

/** A connection whose handshake is done. */
export interface Http2Link {
  /** Of its port, from 1. */
  readonly number: number;
  readonly gate: FrameGate;
  readonly session: ServerHttp2Session;
  /** Resets the TCP connection: what is in buffers on either side is lost. */
  reset(): void;
}

export interface Http2ConnectionContext {
  readonly ledger: Ledger;
  readonly log: NotificationLog;
  readonly book: FaultBook;
  readonly faults: Http2Faults;
  readonly authorization: ClientAuthorization;
  readonly channels: ChannelStore;
  readonly tokenSizes: TokenSizes;
  /** Streams that a client may have open once its first token was valid; undefined: as many from the start. */
  readonly streamsWithToken: number | undefined;
  /** How long a client that has been told to go may stay, milliseconds. */
  readonly lingerMs: number;
}

/**
 * One connection of the HTTP/2 gateway (`docs/protocol/http2.md#requests`): answers every push, by its content or by
 * rule.
 */
export class Http2Connection {
  readonly #link: Http2Link;
  readonly #context: Http2ConnectionContext;
  readonly #content = new ContentKey();
  readonly #settlement: PushSettlement;
  readonly #goAway: GoAway;
  readonly #brake: ReadBrake;
  /** What is to be answered later. */
  readonly #delayed = new Set<() => void>();
  readonly #stopWatchingFaults: () => void;
  /** Notifications that have come. */
  #handled = 0;
  #isRestricted: boolean;
  #isOver = false;

  constructor(link: Http2Link, context: Http2ConnectionContext) {
    const { session, gate } = link;
    this.#link = link;
    this.#context = context;
    this.#settlement = new PushSettlement(context.ledger, context.log, link.number);
    this.#goAway = new GoAway(session, gate, context.lingerMs);
    this.#isRestricted = context.streamsWithToken !== undefined;
    this.#brake = new ReadBrake({ pause: () => gate.hold(), resume: () => gate.release() }, () => undefined);
    this.#stopWatchingFaults = context.book.onChange(() => this.#followFaults());
    // Every error ends in `close`, which is all that matters here.
    session.on('error', () => undefined);
    session.on('stream', (stream, headers, _flags, rawHeaders) => this.#open(stream, headers, rawHeaders));
    session.once('close', () => this.#closed());
    this.#disrupt();
  }

  /** A session that is destroyed throws at every call, some turns before it says that it is closed. */
  get #isGone(): boolean {
    return this.#isOver || this.#link.session.destroyed;
  }

  /** Notifications that have come so far. */
  get handled(): number {
    return this.#handled;
  }

  /** To be called with every chunk that was read. */
  chunkRead(bytes: number): void {
    this.#brake.chunkRead(bytes);
  }

  #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    const chunks: Buffer[] = [];
    let length = 0;
    stream.on('error', () => undefined);
    this.#goAway.opened(stream);
    stream.on('data', (chunk: Buffer) => {
      // The rest of a body that is too long anyway is read and dropped.
      if (length < longestBody) chunks.push(chunk);
      length += chunk.length;
    });
    stream.on('end', () => {
      if (this.#isOver || !canAnswer(stream)) return;
      const request = readPushRequest(headers, rawHeaders, chunks);
      const channelApp = channelAppOf(request.path);
      if (channelApp === undefined) this.#handle(stream, request);
      else answerAboutChannels(stream, request, channelApp.bundleId, this.#context);
    });
  }

  #handle(stream: ServerHttp2Stream, request: PushRequest): void {
    const { authorization, faults } = this.#context;
    this.#handled += 1;
    const checked = checkPush(request, this.#context);
    if (this.#isRestricted && authorization.hasToken) this.#openForMore();
    const topic = typeof checked === 'string' ? (request.topic ?? authorization.defaultTopic) : checked.topic;
    const push = { stream, request, app: bundleIdOf(topic) };
    if (!this.#goAway.answers(stream)) {
      // Above the last stream that a GOAWAY has named, or after one that leaves all without an answer.
      this.#settlement.unheard(push, false);
      return;
    }
    if (typeof checked === 'string') {
      this.#reject(push, { status: reasonStatus[checked], reason: checked });
    }
    if (faults.isQuiet) {
      if (typeof checked !== 'string') this.#take(push);
      return;
    }
    const { bytes, tokenLength, payloadLength } = request;
    const notification = { bytes, tokenStart: 0, tokenLength, topic };
    this.#content.read(bytes, 0, tokenLength, tokenLength, payloadLength);
    if (typeof checked !== 'string') {
      const action = faults.answer(this.#handled - 1, push.app, notification, this.#content);
      if (action === undefined) this.#take(push);
      else this.#act(push, action);
    }
    this.#disrupt(push.app, notification);
  }

  /** The first valid token opens the connection for more than one stream. */
  #openForMore(): void {
    this.#isRestricted = false;
    const { streamsWithToken } = this.#context;
    if (streamsWithToken !== undefined) {
      this.#link.session.settings({ maxConcurrentStreams: streamsWithToken });
    }
  }

  #act(push: Push, action: AnswerAction): void {
    switch (action.kind) {
      case 'respond': {
        const { reason, delayMs } = action;
        const status = action.status ?? statusOf(reason ?? '') ?? 500;
        this.#later(push, delayMs, () => this.#reject(push, { ...action, status }));
        break;
      }
      case 'delay':
        this.#later(push, action.ms, () => this.#take(push));
        break;
      case 'hang':
        this.#unheard(push, action.taken);
        break;
      case 'resetStream':
        this.#unheard(push, action.taken);
        push.stream.close(action.code);
        break;
      case 'malformed':
        this.#unheard(push, action.taken);
        this.#link.gate.write(encodeMalformedAnswer(push.stream.id ?? 0, action.defect));
        break;
      default:
        action satisfies never;
    }
  }

  #take(push: Push): void {
    this.#goAway.settled(push.stream);
    this.#settlement.take(push);
  }

  #reject(push: Push, answer: Rejection): void {
    this.#goAway.settled(push.stream);
    this.#settlement.reject(push, answer);
  }

  #unheard(push: Push, taken: boolean): void {
    if (taken) this.#goAway.settled(push.stream);
    this.#settlement.unheard(push, taken);
  }

  /** Meanwhile the stream may have gone, by itself or with a GOAWAY. */
  #later(push: Push, delayMs: number | undefined, answer: () => void): void {
    if (delayMs === undefined) {
      answer();
      return;
    }
    const settle = (): void => {
      clearTimeout(timer);
      this.#delayed.delete(settle);
      const { stream } = push;
      if (this.#isOver || !canAnswer(stream) || !this.#goAway.answers(stream))
        this.#settlement.unheard(push, false);
      else answer();
    };
    const timer = setTimeout(settle, delayMs);
    this.#delayed.add(settle);
  }

  #followFaults(): void {
    const { faults } = this.#context;
    faults.refresh();
    this.#brake.releaseUnless((rule) => faults.has(rule));
    this.#disrupt();
  }

  /** Lets the rules whose turn it is do their work, after a notification or because the rules have changed. */
  #disrupt(app?: string, notification?: NotificationView): void {
    const { faults } = this.#context;
    if (this.#isGone) return;
    for (const rule of faults.disruptions(this.#handled, app, notification, this.#content)) {
      // Another rule may have ended the connection meanwhile.
      if (!this.#isGone) this.#apply(rule);
    }
  }

  #apply(active: ActiveRule<Http2Rule>): void {
    const { session, gate } = this.#link;
    const { action } = active.rule;
    switch (action.kind) {
      case 'goaway':
        this.#goAway.say(action);
        break;
      case 'streamLimit':
        session.settings({ maxConcurrentStreams: action.limit });
        break;
      case 'close':
        this.#isOver = true;
        // What is answered already goes out at the end of this turn.
        setImmediate(() => gate.shut());
        break;
      case 'reset':
        this.#isOver = true;
        this.#link.reset();
        break;
      case 'stopReading':
        this.#brake.stop(active);
        break;
      case 'slowReading':
        this.#brake.slow(active, action.bytesPerSecond);
        break;
      case 'mute':
        gate.mute();
        break;
      case 'malformed':
      case 'respond':
      case 'delay':
      case 'hang':
      case 'resetStream':
      case 'dropPings':
      case 'refuse':
      case 'closePort':
        // Done elsewhere: with the notification, on the way in, and at the port.
        break;
      default:
        action satisfies never;
    }
  }

  #closed(): void {
    this.#isOver = true;
    this.#stopWatchingFaults();
    this.#goAway.dispose();
    this.#brake.dispose();
    for (const settle of this.#delayed) settle();
  }
}
