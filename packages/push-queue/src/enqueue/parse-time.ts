import { invalidField } from './notification-defect.ts';

const isoTime =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** Epoch milliseconds, from epoch seconds, ISO 8601 text with a zone, or a Date. @throws PushQueueError */
export function parseTime(field: string, value: unknown): number {
  const time = timeOf(value);
  if (Number.isFinite(time) && time >= 0) return time;
  throw invalidField(
    field,
    'must be epoch seconds or ISO 8601 text with a zone, such as 2030-01-31T12:00:00Z',
  );
}

function timeOf(value: unknown): number {
  if (typeof value === 'number') return value * 1000;
  if (value instanceof Date) return value.getTime();
  const parts = typeof value === 'string' ? isoTime.exec(value) : null;
  if (parts === null) return Number.NaN;
  const [, year, month, day] = parts;
  // JavaScript reads the 30th of February as the 2nd of March.
  if (Number(day) > daysIn(Number(year), Number(month))) return Number.NaN;
  return Date.parse(value as string);
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
