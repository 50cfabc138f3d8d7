import type { SecureContext } from 'node:tls';
import { CredentialContext, pauseWithoutCredential } from '../socket/credential.ts';
import { ConnectGate, type Pause } from '../transport/connect-gate.ts';
import type { ConnectionEnd, PauseKind } from '../transport/transport.ts';
import { type AnswerMeaning, type CredentialAction, isAboutCredential } from './answer-policy.ts';
import { Authorization, type AuthorizationEvents } from './authorization.ts';
import type { Http2Closure } from './closure.ts';
import type { ResolvedHttp2Options } from './options.ts';
import type { OpenStream } from './stream-table.ts';

/** Also emitted when the credential changes. */
export interface AccessEvents extends AuthorizationEvents {
  /** There is another certificate: connections that live on the old one are to be left. */
  certificateRenewed(): void;
  /** What the gateway disliked may be over. */
  credentialChanged(): void;
  /** A hold ends sooner: the fleet had begun it earlier. */
  holdChanged(): void;
}

/** UnrelatedKeyIdInToken on this many connections in a row is the token's fault, not a connection's. */
const unrelatedBeforePause = 3;
/** TooManyProviderTokenUpdates on this many connections in a row is the fleet's fault, not a connection's. */
const tokenUpdatesBeforeHold = 2;

/** What the transport is to do: `pause`, the gateway does not let it send. */
export type AccessDecision = 'go-on' | 'pause';

/** What the answer to a probe means. `unknown`: it said nothing about the credential or topic. */
export type ProbeResult = 'lifted' | 'refused' | 'unknown';

/**
 * Whether the gateway lets us send, as far as it has said: what answers, probes and ends of connections mean for the
 * credential, and for the gate. `pause` says what has come of it.
 */
export class Access {
  readonly gate: ConnectGate;
  readonly authorization: Authorization;
  readonly #options: ResolvedHttp2Options;
  readonly #context: CredentialContext;
  readonly #events: AccessEvents;
  readonly #unsubscribe: () => void;
  #isInDoubt = false;
  #unrelated = 0;
  #tokenUpdates = 0;

  constructor(options: ResolvedHttp2Options, events: AccessEvents) {
    const { authentication, ca } = options;
    this.#options = options;
    this.#events = events;
    this.gate = new ConnectGate(options);
    this.authorization = new Authorization(authentication, events);
    if (authentication.kind === 'certificate') {
      const { credential } = authentication;
      this.#context = new CredentialContext(credential, ca);
      this.#unsubscribe = credential.onChange(() => this.#certificateChanged());
    } else {
      this.#context = new CredentialContext(undefined, ca);
      this.#unsubscribe = authentication.tokens.onChange(() => events.credentialChanged());
    }
    pauseWithoutCredential(this.gate, this.#context, this.#options.clock.now());
  }

  /** The gateway has refused the credential, or a token, and taken no request since. */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  get pause(): Pause | undefined {
    return this.gate.pause;
  }

  /**
   * Reads the authorities again if they have changed, for the next connection. Returns what it is to use; undefined while
   * the certificate cannot be used, and there has been none that can.
   */
  refreshContext(): SecureContext | undefined {
    this.#context.refresh();
    return this.#context.secureContext;
  }

  /** The gateway took a notification, or decided about it: it lets us send. What ends a pause is the probe alone. */
  decided(): void {
    this.#isInDoubt = false;
    this.#unrelated = 0;
    this.#tokenUpdates = 0;
    if (this.gate.pause === undefined) this.gate.answered();
  }

  /**
   * A connection does not do its work: the next one is not made at once, and later each time.
   * @param isCutOff No other connection is open.
   */
  doubted(end: ConnectionEnd, reason: string, isCutOff: boolean): void {
    const now = this.#options.clock.now();
    // 5xx on every connection is the gateway's trouble. Silence and foreign answers may come from this worker's network.
    if (end === 'gateway-errors') this.gate.failed(now, reason);
    else this.gate.unreachable(now, reason, isCutOff);
  }

  /** The gateway wants to be rid of a connection for trouble of its own. */
  failed(reason: string): void {
    this.gate.failed(this.#options.clock.now(), reason);
  }

  /** Does what an answer about the credential asks for. */
  judgeRefusal(action: CredentialAction, reason: string, authorization: string | undefined): AccessDecision {
    this.#isInDoubt = true;
    switch (action) {
      case 'pause':
        this.lost(reason);
        return 'pause';
      case 'replace-token':
        this.authorization.refused(authorization, reason);
        return this.pause === undefined ? 'go-on' : 'pause';
      case 'sign-anew':
        this.authorization.expired(authorization, reason);
        return this.pause === undefined ? 'go-on' : 'pause';
      case 'reconnect':
        if (++this.#unrelated < unrelatedBeforePause) return 'go-on';
        this.lost(reason);
        return 'pause';
      case 'keep-token':
        this.authorization.keepOld(authorization);
        if (++this.#tokenUpdates < tokenUpdatesBeforeHold) return 'go-on';
        this.#hold(reason);
        return 'pause';
      default:
        return action satisfies never;
    }
  }

  /** Does what the answer to a probe asks for; `meaning` undefined: the gateway took it. */
  judgeProbe({ authorization }: OpenStream, meaning: AnswerMeaning | undefined): ProbeResult {
    if (meaning !== undefined) {
      const { action, answer } = meaning;
      // Where no connection came about, any answer of the gateway's shows that the way is open.
      const isServerError = answer.status >= 500 && this.pause?.about !== 'worker';
      if (action === 'foreign' || isServerError) {
        this.failed(answer.reason);
        return 'unknown';
      }
      if (action === 'topic-refused') {
        this.lost(answer.reason, 'topic');
        return 'refused';
      }
      if (isAboutCredential(action)) {
        if (action === 'sign-anew') this.authorization.expired(authorization, answer.reason);
        if (action === 'replace-token') this.authorization.refused(authorization, answer.reason);
        if (action === 'keep-token') this.#hold(answer.reason);
        else this.lost(answer.reason);
        return 'refused';
      }
    }
    this.#unrelated = 0;
    this.#tokenUpdates = 0;
    this.gate.answered();
    return 'lifted';
  }

  /** What is named does not let us send, for certain. */
  lost(reason: string, about: PauseKind = 'credential'): void {
    this.#isInDoubt = true;
    this.gate.refused(this.#options.clock.now(), reason, about);
  }

  /**
   * Tells the gate what an ended connection says of the gateway and of our credential.
   * @param isCutOff No other connection is open.
   */
  judgeEnd({ end, detail, hasServed, wasLeft }: Http2Closure, isCutOff: boolean): void {
    if (wasLeft) return;
    const now = this.#options.clock.now();
    switch (end) {
      case 'error-response':
      case 'drained':
      case 'rotated':
      case 'idle':
        return;
      case 'goaway':
        // A gateway that sends everybody away is left alone for a while.
        if (!hasServed) this.gate.failed(now, detail);
        return;
      case 'credential-refused':
        this.gate.refused(now, detail);
        return;
      default:
        if (hasServed) this.gate.failed(now, detail);
        else this.gate.unreachable(now, detail, isCutOff);
    }
  }

  close(): void {
    this.#unsubscribe();
    this.authorization.close();
  }

  /** TooManyProviderTokenUpdates: asking again would make it worse. The whole fleet waits for one end. */
  #hold(reason: string): void {
    const { clock, tokenUpdatePauseMs } = this.#options;
    const sinceMs = clock.now();
    this.gate.holdUntil(sinceMs, reason, sinceMs + tokenUpdatePauseMs);
    this.authorization.hold(tokenUpdatePauseMs).then(
      (leftMs) => {
        if (this.gate.pause?.checkedAtMs !== sinceMs || leftMs >= tokenUpdatePauseMs) return;
        this.gate.holdUntil(sinceMs, reason, sinceMs + leftMs);
        this.#events.holdChanged();
      },
      // Without the store, each waits for itself.
      () => undefined,
    );
  }

  #certificateChanged(): void {
    this.#context.load();
    pauseWithoutCredential(this.gate, this.#context, this.#options.clock.now());
    if (this.#context.problem !== undefined) return;
    this.#events.certificateRenewed();
    this.#events.credentialChanged();
  }
}
