import { z } from 'zod';
import type { BatchId } from '../notification-id.ts';

const batchForm = '[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';
export const batchIdPattern = new RegExp(`^${batchForm}$`);
export const batchIdSchema = z.string().regex(batchIdPattern, 'is not a batch id');
const pushJobIdPattern = new RegExp(`^(${batchForm})-([1-9]\\d{0,9})$`);

/** BullMQ's id of a push job: its batch and the index of its first notification as it was enqueued. */
export function pushJobId(batch: BatchId, firstIndex: number): string {
  return `${batch}-${firstIndex}`;
}

/** Takes the id of a push job apart; undefined when the text is not one. */
export function parsePushJobId(text: string): { batch: BatchId; firstIndex: number } | undefined {
  const match = pushJobIdPattern.exec(text);
  return match === null ? undefined : { batch: match[1]!, firstIndex: Number(match[2]) };
}
