import type { NotificationColumns } from '@pushfleet/apns-wire';
import { generatePayload, generateTokenBytes } from '@pushfleet/testkit';

export const tokenLength = 32;

/** Length of the payload in every section that does not vary it: a short alert. UTF-8 bytes. */
const usualPayloadLength = 120;

/** Notifications with distinct tokens and one payload, as a bulk push job holds them. */
export function createColumns(
  count: number,
  seed = 1,
  payloadLength = usualPayloadLength,
): NotificationColumns {
  const payload = Buffer.from(generatePayload({ seed, bytes: payloadLength }));
  const tokenOffsets = new Uint32Array(count + 1);
  for (let position = 0; position <= count; position++) tokenOffsets[position] = position * tokenLength;
  return {
    count,
    tokens: generateTokenBytes({ count, seed }),
    tokenOffsets,
    payloads: payload,
    payloadOffsets: Uint32Array.of(0, payload.length),
    payloadOf: new Uint16Array(count),
    expirations: new Uint32Array(count).fill(Math.floor(Date.now() / 1000) + 86_400),
    priorities: new Uint8Array(count).fill(10),
  };
}

/** The device tokens of `createColumns`, in hexadecimal. */
export function hexTokens(count: number, seed = 1): string[] {
  const bytes = generateTokenBytes({ count, seed });
  return Array.from({ length: count }, (_, position) =>
    Buffer.from(bytes.buffer, bytes.byteOffset + position * tokenLength, tokenLength).toString('hex'),
  );
}

/**
 * Columns for the `run`th of a series: the same arrays with other first bytes in each token, so that a ledger can tell
 * every notification of the series from every other.
 */
export function stampTokens(columns: NotificationColumns, run: number): NotificationColumns {
  const tokens = columns.tokens.slice();
  const view = new DataView(tokens.buffer);
  for (let position = 0; position < columns.count; position++) view.setUint32(position * tokenLength, run);
  return { ...columns, tokens };
}
