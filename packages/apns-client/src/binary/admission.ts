import {
  ErrorStatus,
  maxDeviceTokenBytes,
  maxPayloadBytes,
  type NotificationColumns,
  type NotificationCommand,
} from '@pushfleet/apns-wire';
import type { Span } from '../transport/span.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';

// What no gateway takes is refused before it is written: there each would cost a connection, and a token of no length
// would be taken for our own known-bad frame (`docs/protocol/binary.md#known-bad-frame`).

export interface Admission {
  /** What may be written, in order. */
  readonly spans: readonly Span[];
  /** Positions that may not, with the status that a gateway would give. */
  readonly refused: readonly { readonly position: number; readonly status: number }[];
}

export function admit(run: TrackedRun, command: NotificationCommand): Admission {
  const { count } = run.columns;
  const statusOf = statusReader(run.columns, maxPayloadBytes[command]);
  const spans: Span[] = [];
  const refused: { position: number; status: number }[] = [];
  let from = 0;
  for (let position = 0; position < count; position++) {
    const status = statusOf(position);
    if (status === ErrorStatus.noErrors) continue;
    refused.push({ position, status });
    if (position > from) spans.push({ run, from, to: position });
    from = position + 1;
  }
  if (count > from) spans.push({ run, from, to: count });
  return { spans, refused };
}

/** Returns a function from position to status; `noErrors` when nothing is wrong with it. */
function statusReader(
  { tokenOffsets, payloadOf, payloadOffsets }: NotificationColumns,
  maxPayload: number,
): (position: number) => number {
  const ofPayload = new Uint8Array(Math.max(0, payloadOffsets.length - 1));
  for (let payload = 0; payload < ofPayload.length; payload++) {
    const length = payloadOffsets[payload + 1]! - payloadOffsets[payload]!;
    if (length === 0) ofPayload[payload] = ErrorStatus.missingPayload;
    else if (length > maxPayload) ofPayload[payload] = ErrorStatus.invalidPayloadSize;
  }
  return (position) => {
    const length = tokenOffsets[position + 1]! - tokenOffsets[position]!;
    if (length === 0) return ErrorStatus.missingDeviceToken;
    if (length > maxDeviceTokenBytes) return ErrorStatus.invalidTokenSize;
    return ofPayload[payloadOf[position]!]!;
  };
}
