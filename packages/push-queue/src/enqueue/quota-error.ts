import { PushQueueError } from '../push-queue-error.ts';
import { type QueueClass, type QueueSize, quotaNames } from '../quota.ts';

/** Says which limit a call met. @param used What the app has of the class. */
export function asQuotaError(
  app: string,
  each: QueueClass,
  limits: QueueSize,
  used: QueueSize,
  asked: QueueSize,
): PushQueueError {
  const what = used.notifications + asked.notifications > limits.notifications ? 'notifications' : 'bytes';
  const quota = { limit: quotaNames[each][what], max: limits[what], used: used[what], asked: asked[what] };
  const words = what === 'bytes' ? 'bytes of notifications' : 'notifications';
  const message = `${quota.limit}: the app ${app} has ${quota.used} of at most ${quota.max} ${words} ${each}, and there is no room for ${quota.asked} more`;
  return new PushQueueError('quota-exceeded', message, { quota });
}
