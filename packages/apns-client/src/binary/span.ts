import type { NotificationRun } from '../transport.ts';

/** A contiguous range of a run's positions, half-open. The unit in which notifications move: never one by one. */
export interface Span {
  readonly run: NotificationRun;
  readonly from: number;
  readonly to: number;
}
