import type { RequestHeaders } from '@pushfleet/apns-wire/http2';
import { http2PayloadLimit } from '@pushfleet/apns-wire/payload';
import type { Span } from '../transport/span.ts';
import { TrackedRun } from '../transport/tracked-run.ts';
import type { NotificationRun } from '../transport/transport.ts';
import { topicOf } from './push-topics.ts';

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

/** What the requests of one run say besides its columns. */
export class RunHeaders implements RequestHeaders {
  /** Of the moment of writing: a provider token changes. */
  authorization: string | undefined;
  readonly pushType: (position: number) => string;
  readonly topic: (position: number) => string;
  readonly collapseId: (position: number) => string | null;
  readonly apnsId: (position: number) => string;
  /** Whether a payload may be over the limit of its push type: then each has to be looked at. */
  readonly mayBeTooLarge: boolean;

  constructor(run: NotificationRun, bundleId: string) {
    const { http2, columns } = run;
    if (http2 === undefined) throw new TypeError('A run for HTTP/2 needs its `http2` columns');
    const { pushType, collapseId } = http2;
    this.apnsId = (position) => http2.apnsId(position);
    if (typeof pushType === 'string') {
      const topic = topicOf(bundleId, pushType);
      this.pushType = () => pushType;
      this.topic = () => topic;
    } else {
      this.pushType = (position) => pushType[position]!;
      this.topic = (position) => topicOf(bundleId, pushType[position]!);
    }
    this.collapseId =
      collapseId === null || typeof collapseId === 'string'
        ? () => collapseId
        : (position) => collapseId[position]!;
    const limit = http2PayloadLimit(typeof pushType === 'string' ? pushType : undefined);
    const { payloadOffsets } = columns;
    this.mayBeTooLarge = payloadOffsets.some(
      (end, index) => index > 0 && end - payloadOffsets[index - 1]! > limit,
    );
  }
}
