import type { Batch, Broadcast, Notification } from '@pushfleet/client';
import { visibleLine } from '../visible-text.ts';

// What has become of something, for people.

export function showNotification(notification: Notification): string {
  const { notificationId, app, lane, state, certainty, reason, gatewayStatus } = notification;
  const { deadLetter, replayedAs } = notification;
  const why =
    reason === undefined
      ? []
      : [gatewayStatus === undefined ? visibleLine(reason) : `${visibleLine(reason)} (${gatewayStatus})`];
  return [
    `notification ${notificationId} of ${app}, ${lane}`,
    `${state}${certainty === undefined ? '' : `, ${certainty}`}${why.map((text) => `: ${text}`).join('')}`,
    ...times(notification, ['enqueuedAt', 'sendAt', 'cancelRequestedAt', 'settledAt']),
    ...(deadLetter === undefined
      ? []
      : [`to send it again: pushfleet dead-letters replay ${app} ${deadLetter.id}`]),
    ...(replayedAs === undefined ? [] : [`sent again as batch ${replayedAs}`]),
  ].join('\n');
}

export function showBatch(batch: Batch): string {
  const { batchId, app, lane, size, state } = batch;
  return [
    `batch ${batchId} of ${app}, ${lane}`,
    `${state}: ${size.toLocaleString('en')} in all, ${showCounts(batch)}`,
    ...times(batch, ['enqueuedAt', 'cancelRequestedAt']),
  ].join('\n');
}

export function showBroadcast(broadcast: Broadcast): string {
  const { broadcastId, app, lane, state, error, progress, fanOutProgress, enqueued } = broadcast;
  return [
    `broadcast ${broadcastId} of ${app}, ${lane}`,
    `${state}${error === undefined ? '' : `: ${error}`}`,
    `fan-out ${percent(fanOutProgress)}, done ${percent(progress)}`,
    `${enqueued.toLocaleString('en')} enqueued, ${showCounts(broadcast)}`,
    ...times(broadcast, ['startAt', 'fanOutEndedAt', 'finishedAt']),
  ].join('\n');
}

/** Outcomes that there are, and what has none. */
export function showCounts(counts: Omit<Batch, 'certainty' | 'state'> | Broadcast): string {
  const { queued, accepted, rejected, expired, cancelled, dead } = counts;
  const some = Object.entries({ queued, accepted, rejected, expired, cancelled, dead }).filter(
    ([, count]) => count > 0,
  );
  return some.map(([name, count]) => `${count.toLocaleString('en')} ${name}`).join(', ') || 'none queued';
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

const labels = {
  enqueuedAt: 'enqueued',
  sendAt: 'to be sent',
  startAt: 'begins',
  cancelRequestedAt: 'cancellation requested',
  fanOutEndedAt: 'fan-out ended',
  settledAt: 'settled',
  finishedAt: 'finished',
} as const;
type TimeName = keyof typeof labels;

function times<Name extends TimeName>(
  of: Readonly<Partial<Record<Name, string>>>,
  names: readonly Name[],
): string[] {
  return names.flatMap((name) => {
    const time = of[name];
    return time === undefined ? [] : [`${labels[name]} ${time}`];
  });
}
