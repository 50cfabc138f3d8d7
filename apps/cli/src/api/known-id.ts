import { parseNotificationId } from '@pushfleet/push-queue';
import { CliError } from '../cli-error.ts';

/** What an id names. A single send's batch id is its notification's. */
export interface KnownId {
  readonly kind: 'notification' | 'batch' | 'broadcast';
  readonly id: string;
}

/** @throws CliError `usage` */
export function parseId(text: string): KnownId {
  const id = text.toLowerCase();
  const parsed = parseNotificationId(id);
  if (parsed !== undefined) return { kind: parsed.index === 0 ? 'batch' : 'notification', id };
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return { kind: 'broadcast', id };
  throw new CliError('usage', `${text} is no id of a notification, a batch or a broadcast`);
}
