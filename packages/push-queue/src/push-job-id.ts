import type { BatchId } from './notification-id.ts';

/** BullMQ's id of a push job: its batch and the index of its first notification as it was enqueued. */
export function pushJobId(batch: BatchId, firstIndex: number): string {
  return `${batch}-${firstIndex}`;
}

/** Takes the id of a push job apart; undefined when the text is not one. */
export function parsePushJobId(text: string): { batch: BatchId; firstIndex: number } | undefined {
  const match = /^([0-9a-f-]{36})-([1-9]\d{0,9})$/.exec(text);
  return match === null ? undefined : { batch: match[1]!, firstIndex: Number(match[2]) };
}
