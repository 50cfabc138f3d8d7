import type { SecureContext } from 'node:tls';
import { CredentialContext } from '../socket/credential.ts';
import { Announcer } from '../transport/announcer.ts';
import type { Span } from '../transport/span.ts';
import { Ticker } from '../transport/ticker.ts';
import { type Tally, TrackedRun } from '../transport/tracked-run.ts';
import type { NotificationRun, Transport, TransportState } from '../transport/transport.ts';
import { stateOf } from '../transport/transport-state.ts';
import { admit } from './admission.ts';
import type { DoubtVerdict } from './after-doubt.ts';
import type { ConnectionClosure } from './closure.ts';
import { ConnectionGroup, type EndedConnection, type GroupHost } from './connection-group.ts';
import { judgeEnd, replayOf, settleClosure, tellEnd } from './consequences.ts';
import { BinaryGate } from './gate.ts';
import { type BinaryTransportOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { Quarantine } from './quarantine.ts';
import { gatewayAnswer } from './status-policy.ts';

// The binary gateway behind the Transport interface: two groups of connections, one for suspects (decision 0015).
//
// Everything handed over is in exactly one place: in the queue of a group (not written), in the window of one
// connection (written), or settled. Moves happen in one turn of the event loop and before any sink hears of them, so
// that no fault, and no call from a sink, can find a notification in none.

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 * @throws TypeError when options contradict each other.
 */
export function createBinaryTransport(options: BinaryTransportOptions): Transport {
  return new BinaryTransport(resolveOptions(options));
}

/** Of the attempts to connect that may come at once, the part that suspects leave to the rest. */
const reservedShare = 0.5;

/** `closing`: everything is being handed back, and nothing may be written any more. */
type Phase = 'running' | 'draining' | 'closing' | 'closed';

export class BinaryTransport implements Transport, GroupHost {
  readonly options: ResolvedOptions;
  readonly gate: BinaryGate;
  readonly #credential: CredentialContext;
  readonly #main: ConnectionGroup;
  readonly #suspects: ConnectionGroup;
  readonly #groups: readonly ConnectionGroup[];
  readonly #quarantine: Quarantine;
  readonly #tally: Tally = { inFlight: 0 };
  readonly #capacity: number;
  readonly #unsubscribe: () => void;
  readonly #drained: (() => void)[] = [];
  readonly #ticker: Ticker;
  readonly #announcer: Announcer;
  #phase: Phase = 'running';
  #drainUntilMs = 0;
  #isPumpScheduled = false;
  #cancelDrainTimer: (() => void) | undefined;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.gate = new BinaryGate(options);
    this.#announcer = new Announcer(this, options.observer);
    this.#capacity = options.window * options.connections;
    const { connections, window, idleTimeoutMs, suspectIdleTimeoutMs } = options;
    const limits = { connections, window };
    this.#main = new ConnectionGroup(this, { ...limits, idleTimeoutMs, expectsErrors: false, spares: 0 });
    this.#suspects = new ConnectionGroup(this, {
      ...limits,
      idleTimeoutMs: suspectIdleTimeoutMs,
      expectsErrors: true,
      spares: reservedShare,
    });
    this.#groups = [this.#main, this.#suspects];
    this.#quarantine = new Quarantine(this.#main.queue, this.#suspects.queue, options.suspectAfter);
    this.#ticker = new Ticker(options.clock, () => {
      for (const group of this.#groups) group.tick();
      this.#changed();
    });
    this.#credential = new CredentialContext(options.credential, options.ca);
    this.#unsubscribe = options.credential.onChange(() => this.#credentialChanged());
    this.#pauseWithoutCredential();
  }

  get state(): TransportState {
    if (this.#phase === 'closed') return { kind: 'closed' };
    return stateOf(
      this.gate,
      { open: this.#openConnections, all: this.#connections },
      this.options.clock.now(),
    );
  }

  get room(): number {
    return this.#takesRuns ? this.#capacity - this.#tally.inFlight : 0;
  }

  get inFlight(): number {
    return this.#tally.inFlight;
  }

  get secureContext(): SecureContext | undefined {
    return this.#credential.secureContext;
  }

  onRoom(listener: () => void): void {
    this.#announcer.onRoom(listener);
  }

  submit(run: NotificationRun): void {
    const tracked = new TrackedRun(run, this.#tally);
    if (!this.#takesRuns) {
      tracked.unprocessed(0, run.columns.count);
      return;
    }
    const { spans, refused } = admit(tracked, this.options.command);
    for (const span of spans) this.#main.queue.push(span);
    this.#announcer.roomTaken();
    for (const { position, status } of refused) tracked.rejected(position, gatewayAnswer(status));
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    // What is submitted in one turn goes out in one write.
    queueMicrotask(() => {
      this.#isPumpScheduled = false;
      this.#pump();
    });
  }

  recall(): void {
    this.#handBack();
    this.#changed();
  }

  probeNow(): void {
    if (this.#phase !== 'running' || (this.gate.pause === undefined && this.gate.failures === 0)) return;
    this.gate.retryNow();
    for (const group of this.#groups) group.stopWaiting();
    this.#changed();
  }

  drain(deadlineMs: number): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve();
    const drained = new Promise<void>((resolve) => void this.#drained.push(resolve));
    if (this.#phase === 'running') {
      const { clock } = this.options;
      this.#phase = 'draining';
      this.#drainUntilMs = clock.now() + deadlineMs;
      this.#cancelDrainTimer = clock.after(deadlineMs, () => this.destroy());
      this.#pump();
    }
    return drained;
  }

  destroy(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    this.#phase = 'closing';
    this.#handBack();
    for (const group of this.#groups) group.destroy('drained');
    this.#close();
  }

  serving(): void {
    // What another group waited for may have come true: that the gateway takes us.
    for (const group of this.#groups) group.stopWaiting();
    this.#changed();
  }

  opened({ id }: { readonly id: string }): void {
    this.#announcer.tell.connectionOpened(id);
    this.#announcer.state();
  }

  retry(group: ConnectionGroup): void {
    if (this.gate.pause !== undefined) group.connect();
    else group.pump();
    this.#changed();
  }

  ended(group: ConnectionGroup, ended: EndedConnection): void {
    const { closure } = ended;
    const { answer, named } = closure;
    const now = this.options.clock.now();
    if (answer?.meaning === 'rejected' && named !== undefined) this.#quarantine.rejected(named.run);
    const replayed = replayOf(closure);
    if (this.#phase === 'closing') handBack(replayed);
    else if (group === this.#suspects) group.queue.unshift(replayed);
    else this.#quarantine.requeue(replayed);
    const verdict = this.#judgeDoubt(group, closure);
    judgeEnd(this.gate, now, ended, verdict, this.#openConnections === 0);
    tellEnd(this.#announcer.tell, ended, replayed);
    settleClosure(closure, verdict, this.options.command);
    this.#changed();
  }

  /** What becomes of frames in doubt; undefined when there are none, or they are given back. */
  #judgeDoubt(group: ConnectionGroup, closure: ConnectionClosure): DoubtVerdict | undefined {
    if (closure.uncertain.length === 0) return undefined;
    if (this.options.onUncertain === 'resend' && this.#phase === 'running') return group.judgeDoubt(closure);
    group.slowDown(closure);
    return undefined;
  }

  get #takesRuns(): boolean {
    return this.#phase === 'running' && this.gate.pause === undefined;
  }

  get #openConnections(): number {
    return this.#main.openConnections + this.#suspects.openConnections;
  }

  get #connections(): number {
    return this.#main.size + this.#suspects.size;
  }

  get #waiting(): number {
    return this.#main.waiting + this.#suspects.waiting;
  }

  #credentialChanged(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    this.#credential.load();
    this.#pauseWithoutCredential();
    if (this.#credential.problem === undefined) {
      this.gate.retryNow();
      for (const group of this.#groups) group.stopWaiting();
      for (const group of this.#groups) group.renew();
    }
    this.#changed();
  }

  /** Connections that live on the last good one go on. */
  #pauseWithoutCredential(): void {
    const { problem, secureContext } = this.#credential;
    if (problem !== undefined && secureContext === undefined) {
      this.gate.refused(this.options.clock.now(), problem, true, 'worker');
    }
  }

  #pump(): void {
    if (this.#phase === 'closing' || this.#phase === 'closed') return;
    for (const group of this.#groups) group.pump();
    this.#keepTicking();
    this.#continueDrain();
  }

  /** To be called after anything that may let others go on. */
  #changed(): void {
    if (this.gate.pause !== undefined) {
      this.#handBack();
      // The gate says when; a probe under way is enough.
      if (this.#phase === 'running') this.#main.connect();
    }
    this.#announcer.state();
    this.#pump();
    this.#announcer.roomMade();
  }

  #keepTicking(): void {
    if (this.#connections === 0) return;
    const { confirmAfterMs, idleTimeoutMs } = this.options;
    const isBusy = this.#tally.inFlight > this.#waiting || this.#groups.some(({ isCautious }) => isCautious);
    // At the pace of confirmation, or only to look after idle connections.
    // Often, so that what silence settles at line rate comes in small portions: a burst of reports would hold up
    // whatever else the process has to do.
    const inMs = isBusy ? Math.min(250, Math.max(5, confirmAfterMs / 64)) : Math.min(idleTimeoutMs, 30_000);
    this.#ticker.within(inMs);
  }

  #continueDrain(): void {
    if (this.#phase !== 'draining') return;
    for (const group of this.#groups) {
      // Nothing is on its way to a gateway that does not answer: no reason to wait for the deadline.
      if (group.size === 0) handBack(group.takeWaiting());
    }
    const leftMs = Math.max(1, this.#drainUntilMs - this.options.clock.now());
    for (const group of this.#groups) group.finish('drained', leftMs);
    if (this.#connections === 0) this.#close();
  }

  #handBack(): void {
    for (const group of this.#groups) handBack(group.takeWaiting());
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#unsubscribe();
    for (const group of this.#groups) group.stopWaiting();
    this.#ticker.stop();
    this.#cancelDrainTimer?.();
    this.#announcer.state();
    for (const resolve of this.#drained) resolve();
  }
}

function handBack(spans: readonly Span[]): void {
  for (const { run, from, to } of spans) run.unprocessed(from, to);
}
