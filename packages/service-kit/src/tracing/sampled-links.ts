import { TraceFlags } from '@opentelemetry/api';
import { type Sampler, SamplingDecision } from '@opentelemetry/sdk-trace';

/**
 * Samples a span that links to a sampled one, and leaves the others to `sampler`. What several callers have part in has
 * no parent that would decide for it; a caller whose trace is kept is to find there what became of its notifications.
 */
export function sampledLinksFirst(sampler: Sampler): Sampler {
  return {
    shouldSample(...args) {
      const [, , , , , links] = args;
      return links.some(({ context }) => (context.traceFlags & TraceFlags.SAMPLED) !== 0)
        ? { decision: SamplingDecision.RECORD_AND_SAMPLED }
        : sampler.shouldSample(...args);
    },
    toString: () => `SampledLinksFirst{${sampler.toString()}}`,
  };
}
