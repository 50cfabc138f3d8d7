import type { NotificationColumns } from '@pushfleet/apns-wire/columns';

// Columns of a push job: in Redis one value for all or a list, in a worker typed arrays (`NotificationColumns`).

/** The value of a column at a place: one for all, or one for each. */
export function valueAt<T>(column: T | readonly T[], place: number): T {
  return Array.isArray(column) ? (column as readonly T[])[place]! : (column as T);
}

/** The values of a column at some places. */
export function selectValues<T>(column: T | readonly T[], places: Uint16Array): T | T[] {
  if (!Array.isArray(column)) return column as T;
  return Array.from(places, (place) => (column as readonly T[])[place]!);
}

/** The columns at some places, in the order given. Payloads are shared with the whole. */
export function selectColumns(
  { columns: all }: { readonly columns: NotificationColumns },
  places: Uint16Array,
): NotificationColumns {
  const { tokens, tokenOffsets, payloadOf, expirations, priorities } = all;
  const count = places.length;
  const offsets = new Uint32Array(count + 1);
  for (let at = 0; at < count; at++) {
    const place = places[at]!;
    offsets[at + 1] = offsets[at]! + tokenOffsets[place + 1]! - tokenOffsets[place]!;
  }
  const bytes = new Uint8Array(offsets[count]!);
  const columns = {
    ...all,
    count,
    tokens: bytes,
    tokenOffsets: offsets,
    payloadOf: new Uint16Array(count),
    expirations: new Uint32Array(count),
    priorities: new Uint8Array(count),
  };
  for (let at = 0; at < count; at++) {
    const place = places[at]!;
    bytes.set(tokens.subarray(tokenOffsets[place]!, tokenOffsets[place + 1]!), offsets[at]!);
    columns.payloadOf[at] = payloadOf[place]!;
    columns.expirations[at] = expirations[place]!;
    columns.priorities[at] = priorities[place]!;
  }
  return columns;
}

/** Device token at a place, hex. */
export function tokenHex({ columns }: { readonly columns: NotificationColumns }, place: number): string {
  return bufferOf(columns.tokens)
    .subarray(columns.tokenOffsets[place], columns.tokenOffsets[place + 1])
    .toString('hex');
}

/** A Buffer over the same memory. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The bytes that a text stands for; undefined: it is not base64. */
export function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  // Node leaves out what is no base64: then there are fewer bytes than the text stands for.
  return text.length % 4 === 0 && bytes.length === Buffer.byteLength(text, 'base64') ? bytes : undefined;
}
