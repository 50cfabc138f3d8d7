/**
 * Field of a push job's hash, written by the transaction that adds the job to the sums of its app: what it was counted
 * as, readable also when the data of the job are not. A job without it was put there by somebody else, and is not in
 * the sums.
 */
export const shareField = 'share';

/** Of its batch, a push job's. */
export interface JobShare {
  /** Notifications that it was enqueued with. */
  readonly count: number;
  /** Notifications of the whole batch. */
  readonly batchSize: number;
}

export function formatShare({ count, batchSize }: JobShare): string {
  return `${count}/${batchSize}`;
}

/** Undefined: there is none. */
export function parseShare(text: string | null | undefined): JobShare | undefined {
  const match = /^([1-9]\d*)\/([1-9]\d*)$/.exec(text ?? '');
  return match === null ? undefined : { count: Number(match[1]), batchSize: Number(match[2]) };
}
