// Trace contexts of those who enqueued, as W3C writes them in the header `traceparent`. They lie where BullMQ keeps what
// telemetry hands on: in the options of the job, beside its data, and for one caller in the form of bullmq-otel. A
// version that knows nothing of them does not see them. docs/decisions/0062-traces.md says why so.

/** Callers that one push job names at most: as many as a span links to by default. */
export const maxTraceparents = 128;

const form = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const sampledFlag = 1;

/** Whether somebody keeps the trace: only then it is worth carrying. False for what is no `traceparent`. */
export function isSampled(traceparent: string): boolean {
  return form.test(traceparent) && (Number.parseInt(traceparent.slice(-2), 16) & sampledFlag) === sampledFlag;
}

/** The callers of some notifications, each once, the first `maxTraceparents` of them; undefined: none has one. */
export function distinctTraceparents(
  notifications: readonly { readonly traceparent?: string }[],
): readonly string[] | undefined {
  let distinct: Set<string> | undefined;
  for (const { traceparent } of notifications) {
    if (traceparent === undefined) continue;
    distinct ??= new Set();
    distinct.add(traceparent);
    if (distinct.size === maxTraceparents) break;
  }
  return distinct === undefined ? undefined : [...distinct];
}

/** As the job's options hold them; one or more. */
export function formatTraceparents(traceparents: readonly string[]): string {
  const [traceparent] = traceparents;
  return JSON.stringify(traceparents.length === 1 ? { traceparent } : { traceparents });
}

/** What can be read of them: a job is not refused for its trace. */
export function parseTraceparents(text: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof value !== 'object' || value === null) return [];
  const { traceparent, traceparents } = value as Record<string, unknown>;
  const found: readonly unknown[] = Array.isArray(traceparents) ? traceparents : [traceparent];
  return found
    .filter((one): one is string => typeof one === 'string' && isSampled(one))
    .slice(0, maxTraceparents);
}
