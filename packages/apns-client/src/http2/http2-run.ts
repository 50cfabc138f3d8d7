import type { Span } from '../span.ts';
import { TrackedRun } from '../tracked-run.ts';
import type { NotificationRun } from '../transport.ts';
import { RunHeaders } from './run-headers.ts';

/** A run with what its requests say besides its columns. */
export class Http2Run extends TrackedRun {
  readonly headers: RunHeaders;

  /** @throws TypeError where the run lacks the facts that only HTTP/2 sends */
  constructor(
    run: NotificationRun,
    options: { readonly topic: string; readonly tally: { inFlight: number } },
  ) {
    const headers = new RunHeaders(run, options.topic);
    super(run, options.tally);
    this.headers = headers;
  }
}

/** A contiguous range of a run's positions, half-open. */
export type Http2Span = Span<Http2Run>;
