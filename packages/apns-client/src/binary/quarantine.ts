import type { Span } from './span.ts';
import type { SpanQueue } from './span-queue.ts';

// A run in which the gateway keeps finding invalid tokens costs a connection for each. What is left of it goes over a
// connection of its own, so that only suspects wait for suspects (decision 0015).

/**
 * Puts what the gateway discarded in front of everything newer, in order; but all that waits of a suspect run behind
 * the other suspects.
 */
export function requeue(
  spans: readonly Span[],
  { main, suspects, suspectAfter }: { main: SpanQueue; suspects: SpanQueue; suspectAfter: number },
): void {
  const isSuspect = ({ run }: Span): boolean => run.invalidTokens >= suspectAfter;
  main.unshift(spans.filter((span) => !isSuspect(span)));
  const moved = spans.filter(isSuspect);
  for (const run of new Set(moved.map((span) => span.run))) {
    for (const span of moved) if (span.run === run) suspects.push(span);
    for (const span of main.takeRun(run)) suspects.push(span);
  }
}
