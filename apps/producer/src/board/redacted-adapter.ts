import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';

type BoardJob = Awaited<ReturnType<BullMQAdapter['getJob']>>;

/**
 * Gives the board push jobs and dead letters without device tokens and without what people are told, whichever of its
 * pages asks. What is shown is listed; what a later version adds to a job is hidden until it is listed too.
 */
export class RedactedAdapter extends BullMQAdapter {
  override async getJob(id: string): Promise<BoardJob> {
    const job = await super.getJob(id);
    return job === undefined || job === null ? job : redacted(job);
  }

  override async getJobs(
    ...range: Parameters<BullMQAdapter['getJobs']>
  ): ReturnType<BullMQAdapter['getJobs']> {
    return (await super.getJobs(...range)).map(redacted);
  }

  /** Workers write none. */
  override async getJobLogs(): Promise<string[]> {
    return [];
  }

  /** Push jobs have no children; it would read them past this adapter. */
  override async getFlowProducer(): Promise<null> {
    return null;
  }
}

/** Fields whose text is shown. */
const shown = new Set(['app', 'batch', 'jobId', 'kind', 'lane', 'outcome', 'pushType']);

/** A reason of the gateway or of ours; whatever else stands there may be anything. */
const reasonWord = /^[A-Za-z-]{1,64}$/;

function redacted<Job extends NonNullable<BoardJob>>(job: Job): Job {
  const fields = job as unknown as Record<string, unknown>;
  for (const name of ['data', 'progress', 'returnvalue', 'opts'] as const) {
    fields[name] = withoutText(fields[name], name);
  }
  if (fields.failedReason !== undefined) fields.failedReason = '[hidden]';
  fields.stacktrace = [];
  return job;
}

/** Numbers, and the texts of fields that are shown. */
function withoutText(value: unknown, name: string): unknown {
  if (typeof value === 'string') {
    const isReason = (name === 'reason' || name === 'reasons') && reasonWord.test(value);
    return shown.has(name) || isReason ? value : '[hidden]';
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => withoutText(each, name));
  // The reasons of a dead letter stand under the places of its notifications.
  const nameOf = (field: string) => (name === 'reasons' ? name : field);
  return Object.fromEntries(
    Object.entries(value).map(([field, each]) => [field, withoutText(each, nameOf(field))]),
  );
}
