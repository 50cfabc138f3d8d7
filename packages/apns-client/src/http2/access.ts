import type { SecureContext } from 'node:tls';
import { ConnectGate, type Pause } from '../connect-gate.ts';
import { CredentialContext } from '../credential-context.ts';
import { type CredentialAction, isAboutCredential, type Verdict } from './answer-policy.ts';
import { Authorization, type AuthorizationEvents } from './authorization.ts';
import type { Http2ConnectionClosure } from './http2-closure.ts';
import type { ResolvedHttp2Options } from './http2-transport-options.ts';
import type { OpenStream } from './stream-table.ts';

/** Comes when the credential changes, besides what comes of asking for a provider token. */
export interface AccessEvents extends AuthorizationEvents {
  /** There is another certificate: connections that live on the old one are to be left. */
  certificateRenewed(): void;
  /** What the gateway disliked may be over. */
  credentialChanged(): void;
}

/** UnrelatedKeyIdInToken on so many connections in a row is no matter of connections. */
const unrelatedBeforePause = 3;

/**
 * Whether the gateway lets us send, as far as it has said: what answers, probes and ends of connections mean for the
 * credential, and for the gate. Who calls looks at `pause` afterwards.
 */
export class Access {
  readonly gate: ConnectGate;
  readonly authorization: Authorization;
  readonly #options: ResolvedHttp2Options;
  readonly #context: CredentialContext;
  readonly #events: AccessEvents;
  readonly #unsubscribe: () => void;
  #unrelated = 0;

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
    this.#pauseWithoutContext();
  }

  get pause(): Pause | undefined {
    return this.gate.pause;
  }

  /** Undefined while the certificate cannot be used, and there has been none that can. */
  get secureContext(): SecureContext | undefined {
    return this.#context.secureContext;
  }

  /** The gateway took a notification. */
  accepted(): void {
    this.#unrelated = 0;
    this.decided();
  }

  /** The gateway decided about a notification: it lets us send. What ends a pause is the probe alone. */
  decided(): void {
    if (this.gate.pause === undefined) this.gate.answered();
  }

  /** An answer that is about the credential. Gives whether the transport is to rest for it. */
  refused(action: CredentialAction, reason: string, authorization: string | undefined): boolean {
    switch (action) {
      case 'pause':
        this.lost(reason);
        return true;
      case 'sign-anew':
        this.authorization.expired(authorization, reason);
        return false;
      case 'reconnect':
        if (++this.#unrelated < unrelatedBeforePause) return false;
        this.lost(reason);
        return true;
      case 'keep-token':
        if (this.authorization.keepOld(authorization)) return false;
        this.#hold(reason);
        return true;
      default:
        return action satisfies never;
    }
  }

  /** Whether the gateway lets us send again: any answer that is not about the credential shows it. */
  probed({ authorization }: OpenStream, verdict: Verdict | undefined): boolean {
    if (verdict === undefined || !isAboutCredential(verdict.action)) {
      this.gate.answered();
      this.#unrelated = 0;
      return true;
    }
    const { action, answer } = verdict;
    if (action === 'sign-anew') this.authorization.expired(authorization, answer.reason);
    if (action === 'keep-token') this.#hold(answer.reason);
    else this.lost(answer.reason);
    return false;
  }

  /** The gateway refuses the credential, for certain. */
  lost(reason: string): void {
    this.gate.refused(this.#options.clock.now(), reason, true);
  }

  /** What an ended connection says of the gateway and of our credential. */
  judgeEnd({ end, detail, answered }: Http2ConnectionClosure): void {
    const now = this.#options.clock.now();
    switch (end) {
      case 'error-response':
      case 'drained':
      case 'rotated':
      case 'idle':
        return;
      case 'goaway':
        // A gateway that sends everybody away is left alone for a while.
        if (!answered) this.gate.failed(now, detail);
        return;
      case 'tls-failed':
        this.gate.refused(now, detail, false, 'worker');
        return;
      case 'credential-refused':
        // Paused, it is we who leave so.
        if (this.pause === undefined) this.gate.refused(now, detail, true);
        return;
      default:
        this.gate.failed(now, detail);
    }
  }

  close(): void {
    this.#unsubscribe();
    this.authorization.close();
  }

  /** TooManyProviderTokenUpdates: asking again would make it worse. */
  #hold(reason: string): void {
    const now = this.#options.clock.now();
    this.gate.holdUntil(now, reason, now + this.#options.tokenUpdatePauseMs);
  }

  #certificateChanged(): void {
    this.#context.load();
    this.#pauseWithoutContext();
    if (this.#context.problem !== undefined) return;
    this.#events.certificateRenewed();
    this.#events.credentialChanged();
  }

  /** Connections that live on the last good one go on. */
  #pauseWithoutContext(): void {
    const { problem, secureContext } = this.#context;
    if (problem !== undefined && secureContext === undefined) {
      this.gate.refused(this.#options.clock.now(), problem, true, 'worker');
    }
  }
}
