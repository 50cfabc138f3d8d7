/** The apps of the fleet under chaos: both transports, and one that sends at most once. */
export const chaosApps = ['binary', 'http2', 'once'] as const;
export type ChaosApp = (typeof chaosApps)[number];

export type Transport = 'binary' | 'http2';

export const transportOf = (app: ChaosApp): Transport => (app === 'http2' ? 'http2' : 'binary');

/** One notification as the client remembers it. */
export interface Remembered {
  readonly app: ChaosApp;
  /** In the payload, and of this notification or broadcast alone: by it the gateway's ledger knows it again. */
  readonly mark: string;
  readonly token: string;
  /** Which client sent it: `single`, `batch`, `scheduled`, `library`, `user`. */
  readonly kind: string;
  /** Set when the call was answered 202. */
  notificationId?: string;
  /** Of a send of many: its batch, and the place in it. */
  batchId?: string;
  readonly place?: number;
  /** Not to be sent before, epoch ms. */
  sendAtMs?: number;
  /** When a cancellation was answered that came well before it was due, epoch ms. */
  cancelledAt?: number;
}

/** One broadcast as the client remembers it. */
export interface RememberedBroadcast {
  readonly app: ChaosApp;
  readonly mark: string;
  /** Its audience: registered before it began, and unchanged since. */
  readonly tokens: readonly string[];
  id?: string;
  /** A cancellation was asked for: any part of its audience may have got it. */
  mayBePartial: boolean;
}

/** All that the clients were promised, and what else they saw. */
export class ClientMemory {
  readonly notifications: Remembered[] = [];
  readonly broadcasts: RememberedBroadcast[] = [];
  /** Batches of which a webhook event has come. */
  readonly finishedBatches = new Set<string>();
  /** Devices whose registration was answered, with the user that each has. */
  readonly devices = new Map<string, string>();
  /** Answers that a client must never get; each is a fault of the product. */
  readonly wrongAnswers: string[] = [];
  #marks = 0;

  /** A mark that nothing else has. */
  makeMark(): string {
    this.#marks += 1;
    return `m${this.#marks.toString(36)}`;
  }
}
