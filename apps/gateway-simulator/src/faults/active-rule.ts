import { ContentKey } from '../ledger/content-key.ts';
import { KeySet } from '../ledger/key-set.ts';
import type { FaultRule } from './fault-schema.ts';

/** A notification as rules see it: where its token lies, and the hash of it. */
export interface NotificationView {
  /** HTTP/2 only. */
  readonly topic?: string;
  readonly bytes: Uint8Array;
  readonly tokenStart: number;
  readonly tokenLength: number;
}

/** A rule in force, with what it has done so far. */
export class ActiveRule<R extends FaultRule = FaultRule> {
  readonly id: number;
  readonly rule: R;
  /** How often it has fired. */
  fired = 0;

  readonly #expiresAtMs: number;
  readonly #now: () => number;
  readonly #tokens: KeySet | undefined;
  readonly #tokenPrefix: Buffer | undefined;
  readonly #topic: string | undefined;
  readonly #after: number;
  readonly #everyNth: number;
  #matched = 0;

  /** @param now Milliseconds of a clock that never goes back. */
  constructor(id: number, rule: R, now: () => number) {
    this.id = id;
    this.rule = rule;
    this.#now = now;
    this.#expiresAtMs = now() + (rule.forMs ?? 0);
    const match = matchOf(rule);
    this.#tokens = match.token === undefined ? undefined : keysOf(match.token);
    this.#tokenPrefix = match.tokenPrefix === undefined ? undefined : Buffer.from(match.tokenPrefix, 'hex');
    this.#topic = match.topic;
    this.#after = match.after ?? 0;
    this.#everyNth = match.everyNth ?? 1;
  }

  /** Neither used up nor over. */
  get isInForce(): boolean {
    if (this.rule.times !== undefined && this.fired >= this.rule.times) return false;
    return this.remainingMs > 0;
  }

  /** Until `forMs` is over, milliseconds; infinite without it. */
  get remainingMs(): number {
    return this.rule.forMs === undefined ? Number.POSITIVE_INFINITY : this.#expiresAtMs - this.#now();
  }

  /** Looks at single notifications, not only at how many there have been. */
  get choosesNotifications(): boolean {
    const match = matchOf(this.rule);
    return [match.token, match.tokenPrefix, match.topic, match.everyNth].some((each) => each !== undefined);
  }

  /** By its number at the port. */
  isForConnection(connection: number): boolean {
    const { connection: first, everyNthConnection: nth } = this.rule.match;
    if (nth === undefined) return first === undefined || first === connection;
    return connection >= (first ?? nth) && (connection - (first ?? nth)) % nth === 0;
  }

  /** @param app Undefined before the handshake. */
  appliesTo(connection: number, app: string | undefined): boolean {
    const { match } = this.rule;
    if (!this.isForConnection(connection)) return false;
    return match.app === undefined || match.app === app;
  }

  /** Whether enough of the connection's notifications have been handled. */
  isDue(handled: number): boolean {
    return handled >= this.#after && this.isInForce;
  }

  /**
   * Whether it chooses this notification; counts it for `everyNth` when all else fits.
   * @param handled Notifications of the connection handled before it.
   * @param content The key of the notification, already read.
   */
  chooses(handled: number, notification: NotificationView, content: ContentKey): boolean {
    if (!this.isDue(handled)) return false;
    if (this.#tokens !== undefined && !this.#tokens.has(content.tokenLow, content.tokenHigh)) return false;
    if (this.#topic !== undefined && this.#topic !== notification.topic) return false;
    if (this.#tokenPrefix !== undefined && !beginsWith(notification, this.#tokenPrefix)) return false;
    this.#matched += 1;
    return this.#matched % this.#everyNth === 0;
  }

  fire(): void {
    this.fired += 1;
  }
}

interface NotificationMatch {
  readonly topic?: string | undefined;
  readonly token?: readonly string[] | undefined;
  readonly tokenPrefix?: string | undefined;
  readonly everyNth?: number | undefined;
  readonly after?: number | undefined;
}

/** Rules of the feedback service have none of it. */
function matchOf({ match }: FaultRule): NotificationMatch & FaultRule['match'] {
  return match;
}

function keysOf(tokens: readonly string[]): KeySet {
  const keys = new KeySet();
  const content = new ContentKey();
  for (const token of tokens) {
    const bytes = Buffer.from(token, 'hex');
    content.read(bytes, 0, bytes.length, 0, 0);
    keys.add(content.tokenLow, content.tokenHigh);
  }
  return keys;
}

function beginsWith({ bytes, tokenStart, tokenLength }: NotificationView, prefix: Buffer): boolean {
  if (tokenLength < prefix.length) return false;
  for (let at = 0; at < prefix.length; at += 1) if (bytes[tokenStart + at] !== prefix[at]) return false;
  return true;
}
