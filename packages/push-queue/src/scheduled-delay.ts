/**
 * How long after it was enqueued a push job was meant to be sent, milliseconds; 0: at once. From the job's options, as
 * they lie in Redis: BullMQ's field `delay` is rewritten by every retry that is put off.
 */
export function scheduledDelayMs(opts: string | null | undefined): number {
  try {
    const { delay } = JSON.parse(opts ?? '{}') as { readonly delay?: unknown };
    return typeof delay === 'number' && delay > 0 ? delay : 0;
  } catch {
    return 0;
  }
}
