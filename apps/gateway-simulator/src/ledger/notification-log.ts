/** One notification as it arrived, as `GET /ledger/notifications` shows it. */
export interface LoggedNotification {
  /** From 1, in the order of arrival over all connections. */
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly app: string;
  readonly transport: 'binary' | 'http2';
  /** Number of the connection at its port, from 1. */
  readonly connection: number;
  /** Binary: 0, 1 or 2. */
  readonly command?: number;
  /** Hexadecimal. */
  readonly token: string;
  readonly payload: string;
  /** Binary: 0 when the frame carries none. */
  readonly identifier?: number;
  readonly apnsId?: string;
  /** Epoch seconds; 0: not to be stored. Absent: an HTTP/2 request did not say. */
  readonly expiration?: number;
  readonly priority: number;
  readonly outcome: 'received' | 'rejected' | 'discarded';
  /** Only when received: with a key that was received before. */
  readonly duplicate?: boolean;
  /** Only when rejected: the status of the error-response packet, or of the HTTP answer. */
  readonly status?: number;
  /** HTTP/2, when rejected. */
  readonly reason?: string;
  /** HTTP/2: request headers that tell how it is to be delivered, such as `apns-push-type`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Text kept over all notifications, whatever their number. UTF-16 units. */
const maxTextLength = 64 * 1_024 * 1_024;

/**
 * Keeps the first notifications one by one, up to a stated limit; later ones are only counted, so that a run of
 * millions costs neither memory nor time for it.
 */
export class NotificationLog {
  readonly #entries: LoggedNotification[] = [];
  #limit: number;
  #textLength = 0;
  #isOpen = false;

  /** @param limit Most notifications to keep; 0: none. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#update();
  }

  get limit(): number {
    return this.#limit;
  }

  /** What is kept already stays. */
  set limit(limit: number) {
    this.#limit = limit;
    this.#update();
  }

  /** Whether `append` would keep one; to be asked first, since making an entry costs more than counting it. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get entries(): readonly LoggedNotification[] {
    return this.#entries;
  }

  append(entry: Omit<LoggedNotification, 'sequence'>): void {
    this.#entries.push({ sequence: this.#entries.length + 1, ...entry });
    this.#textLength += entry.token.length + entry.payload.length;
    this.#update();
  }

  reset(): void {
    this.#entries.length = 0;
    this.#textLength = 0;
    this.#update();
  }

  #update(): void {
    this.#isOpen = this.#entries.length < this.#limit && this.#textLength < maxTextLength;
  }
}
