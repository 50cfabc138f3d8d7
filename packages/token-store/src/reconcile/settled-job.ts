/** What a worker says of one finished push job; the shape of push-queue's outcome report. */
export interface SettledJob {
  readonly app: string;
  readonly lane: string;
  readonly batch: string;
  readonly batchSize: number;
  readonly firstIndex: number;
  readonly count: number;
  readonly enqueuedAtMs: number;
  readonly settledAtMs: number;
  readonly accepted: { readonly proved: number; readonly presumed: number };
  readonly exceptions: readonly SettledException[];
  readonly resentUncertain: number;
}

export interface SettledException {
  readonly index: number;
  /** Hex. */
  readonly token: string;
  readonly outcome: 'rejected' | 'expired' | 'cancelled' | 'dead';
  readonly reason: string;
  readonly status?: number | undefined;
  /** The gateway's word is evidence against the device. */
  readonly tokenInvalid?: boolean | undefined;
  /** When APNs found the token gone (410 only). */
  readonly unregisteredAtMs?: number | undefined;
  readonly atMs: number;
}
