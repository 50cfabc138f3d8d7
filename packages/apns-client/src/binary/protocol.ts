import { CredentialContext, pauseWithoutCredential } from '../socket/credential.ts';
import { handBack, type Span } from '../transport/span.ts';
import { TrackedRun } from '../transport/tracked-run.ts';
import type { NotificationRun, Transport, TransportFigures } from '../transport/transport.ts';
import { type Protocol, TransportCore } from '../transport/transport-core.ts';
import { rejectedBy } from '../transport/verdicts.ts';
import { admit } from './admission.ts';
import type { DoubtDecision } from './after-doubt.ts';
import type { BinaryClosure } from './closure.ts';
import type { BinaryConnection } from './connection.ts';
import { ConnectionGroup, type GroupEvents } from './connection-group.ts';
import { announceEnd, judgeEnd, replayOf, settleClosure } from './consequences.ts';
import { BinaryGate } from './gate.ts';
import { type BinaryTransportOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { Quarantine } from './quarantine.ts';
import { gatewayAnswer } from './status-policy.ts';

// The binary gateway behind the Transport interface: two groups of connections, one for suspects (decision 0015).

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 * @throws TypeError when options contradict each other.
 */
export function createBinaryTransport(options: BinaryTransportOptions): Transport {
  return buildBinaryTransport(resolveOptions(options));
}

export function buildBinaryTransport(options: ResolvedOptions): Transport {
  return new TransportCore(options, (core) => new BinaryProtocol(core, options));
}

/** Of the attempts to connect that may come at once, the part that suspects leave to the rest. */
const reservedForMain = 0.5;

class BinaryProtocol implements Protocol, GroupEvents {
  readonly gate: BinaryGate;
  readonly connections: Protocol['connections'];
  readonly #core: TransportCore;
  readonly #options: ResolvedOptions;
  readonly #credential: CredentialContext;
  readonly #main: ConnectionGroup;
  readonly #suspects: ConnectionGroup;
  readonly #groups: readonly ConnectionGroup[];
  readonly #quarantine: Quarantine;
  readonly #unsubscribe: () => void;
  #drainUntilMs = 0;

  constructor(core: TransportCore, options: ResolvedOptions) {
    const { credential, ca, idleTimeoutMs, suspectIdleTimeoutMs, suspectAfter } = options;
    this.#core = core;
    this.#options = options;
    this.gate = new BinaryGate(options);
    this.#credential = new CredentialContext(credential, ca);
    const shared = { transport: options, gate: this.gate, credential: this.#credential };
    this.#main = new ConnectionGroup(
      { ...shared, idleTimeoutMs, expectsErrors: false, reservedForOthers: 0 },
      this,
    );
    this.#suspects = new ConnectionGroup(
      {
        ...shared,
        idleTimeoutMs: suspectIdleTimeoutMs,
        expectsErrors: true,
        reservedForOthers: reservedForMain,
      },
      this,
    );
    this.#groups = [this.#main, this.#suspects];
    const [main, suspects] = [this.#main.connections, this.#suspects.connections];
    this.connections = {
      get size() {
        return main.size + suspects.size;
      },
      get open() {
        return main.open + suspects.open;
      },
    };
    this.#quarantine = new Quarantine(this.#main.queue, this.#suspects.queue, suspectAfter);
    this.#unsubscribe = credential.onChange(() => this.#credentialChanged());
    pauseWithoutCredential(this.gate, this.#credential, options.clock.now());
  }

  enqueue(run: NotificationRun): void {
    const tracked = new TrackedRun(run, this.#core.tally);
    const { spans, refused } = admit(tracked, this.#options.command);
    for (const span of spans) this.#main.queue.push(span);
    this.#core.announcer.roomTaken();
    for (const { position, status } of refused) {
      tracked.settled(position, position + 1, rejectedBy(gatewayAnswer(status)));
    }
  }

  pump(): void {
    for (const group of this.#groups) group.pump();
    this.#keepTicking();
    this.#continueDrain();
  }

  tick(): void {
    for (const group of this.#groups) group.tick();
    this.#changed();
  }

  takeWaiting(): Span[] {
    return this.#groups.flatMap((group) => group.takeWaiting());
  }

  retry(): void {
    for (const group of this.#groups) group.stopWaiting();
    this.#changed();
  }

  drain(untilMs: number): void {
    this.#drainUntilMs = untilMs;
    this.pump();
  }

  get figures(): TransportFigures {
    const connections = this.#groups.flatMap((group) => [...group.connections].map(({ figures }) => figures));
    return {
      wanted: Math.max(1, connections.length),
      need: connections.length > 1 ? 'backlog' : 'least',
      connections,
    };
  }

  destroy(): void {
    for (const group of this.#groups) group.destroyAll('drained');
  }

  close(): void {
    this.#unsubscribe();
    for (const group of this.#groups) group.stopWaiting();
  }

  opened({ id, isResumed }: BinaryConnection): void {
    this.#core.announcer.observer.connectionOpened(id, isResumed);
    this.#core.announcer.announceState();
  }

  serving(): void {
    // What another group waited for may have come true: that the gateway takes us.
    this.retry();
  }

  retryDue(group: ConnectionGroup): void {
    if (this.gate.pause !== undefined) group.connect();
    else group.pump();
    this.#changed();
  }

  ended(group: ConnectionGroup, connection: BinaryConnection, closure: BinaryClosure): void {
    const { answer, named } = closure;
    if (answer?.meaning === 'rejected' && named !== undefined) this.#quarantine.rejected(named.run);
    const replayed = replayOf(closure);
    if (this.#core.isOver) handBack(replayed);
    else if (group === this.#suspects) group.queue.unshift(replayed);
    else this.#quarantine.requeue(replayed);
    const decision = this.#judgeDoubt(group, closure);
    judgeEnd(this.gate, this.#options.clock.now(), closure, decision, this.connections.open === 0);
    announceEnd(this.#core.announcer.observer, connection.id, closure, replayed);
    settleClosure(closure, decision, this.#options.command);
    this.#changed();
  }

  /** What becomes of frames in doubt; undefined when there are none, or they are given back. */
  #judgeDoubt(group: ConnectionGroup, closure: BinaryClosure): DoubtDecision | undefined {
    if (closure.uncertain.length === 0) return undefined;
    if (this.#options.onUncertain === 'resend' && this.#core.isRunning) return group.judgeDoubt(closure);
    group.slowDown(closure);
    return undefined;
  }

  #credentialChanged(): void {
    if (this.#core.isOver) return;
    this.#credential.load();
    pauseWithoutCredential(this.gate, this.#credential, this.#options.clock.now());
    if (this.#credential.problem === undefined) {
      this.gate.retryNow();
      for (const group of this.#groups) group.stopWaiting();
      for (const group of this.#groups) group.renew();
    }
    this.#changed();
  }

  /** The gate, or the number of connections, may be another: does and announces what follows. */
  #changed(): void {
    if (this.gate.pause !== undefined) {
      this.#core.handBack();
      // The gate says when; a probe under way is enough.
      if (this.#core.isRunning) this.#main.connect();
    }
    this.#core.announcer.announceState();
    if (!this.#core.isOver) this.pump();
    this.#core.announcer.roomMade();
  }

  #keepTicking(): void {
    if (this.connections.size === 0) return;
    const { confirmAfterMs, idleTimeoutMs } = this.#options;
    const waiting = this.#main.waiting + this.#suspects.waiting;
    const isBusy = this.#core.tally.inFlight > waiting || this.#groups.some(({ isCautious }) => isCautious);
    // At the pace of confirmation, or only to look after idle connections.
    // Often, so that what silence settles at line rate comes in small portions: a burst of reports would hold up
    // whatever else the process has to do.
    const inMs = isBusy ? Math.min(250, Math.max(5, confirmAfterMs / 64)) : Math.min(idleTimeoutMs, 30_000);
    this.#core.tickWithin(inMs);
  }

  #continueDrain(): void {
    if (!this.#core.isDraining) return;
    for (const group of this.#groups) {
      // Nothing is on its way to a gateway that does not answer: no reason to wait for the deadline.
      if (group.connections.size === 0) handBack(group.takeWaiting());
    }
    const leftMs = Math.max(1, this.#drainUntilMs - this.#options.clock.now());
    for (const group of this.#groups) group.leaveAll('drained', leftMs);
    this.#core.closeWhenDrained();
  }
}
