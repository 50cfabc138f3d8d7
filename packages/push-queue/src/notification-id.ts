import { randomFillSync } from 'node:crypto';

// One number space for batches and notifications, in the form of UUIDs (RFC 9562, version 7 layout): 48 bits of
// epoch milliseconds, 42 random bits, and in the low 32 bits the notification's index in its batch, from 1.
// Index 0 is the batch itself. So the id of a notification names its batch and its place there without a look-up,
// and is at the same time the `apns-id` of HTTP/2, equal on every retry.

export type BatchId = string;
export type NotificationId = string;

/** Makes a batch id: a UUID whose low 32 bits are zero. */
export function createBatchId(nowMs: number = Date.now()): BatchId {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  takeRandom(bytes, 6, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return formatUuid(bytes.toString('hex'));
}

/** When a batch id was made, epoch milliseconds. */
export function batchTimeMs(batch: BatchId): number {
  return Number.parseInt(batch.slice(0, 8) + batch.slice(9, 13), 16);
}

/** Random bytes are fetched a few hundred ids at a time: asking for six costs as much as for thousands. */
const random = Buffer.alloc(4096);
let randomAt = random.length;

function takeRandom(target: Buffer, at: number, length: number): void {
  if (randomAt + length > random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  random.copy(target, at, randomAt, randomAt + length);
  randomAt += length;
}

/** The id of the notification at `index` (from 1) of a batch. */
export function notificationId(batch: BatchId, index: number): NotificationId {
  return batch.slice(0, 28) + index.toString(16).padStart(8, '0');
}

/**
 * Takes a batch or notification id apart, in either case: some languages print them in capitals. Undefined when the
 * text is not one. Index 0: the batch itself.
 */
export function parseNotificationId(id: string): { batch: BatchId; index: number } | undefined {
  const text = id.toLowerCase();
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)) return undefined;
  return { batch: `${text.slice(0, 28)}00000000`, index: Number.parseInt(text.slice(28), 16) };
}

function formatUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
