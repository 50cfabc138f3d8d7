// The life of a push job in a worker: docs/lifecycles/push-job.md. A test holds this table and that page together.

/** Where a push job is in its life. */
export type JobState =
  /** Taken from Redis: it is decoded, and what needs no gateway ends. */
  | 'opening'
  /** Redis is asked what of it is cancelled. */
  | 'checking'
  /** Waits in its lane to be handed over. */
  | 'ready'
  /** Redis is told that it is about to be handed over. */
  | 'announcing'
  /** Handed over to the transport; some of it has no verdict yet. */
  | 'sending'
  /** All of it has its outcome: dead letters and the outcome report are written. */
  | 'reporting'
  /** Some of it is left: its progress is written, so that it can be taken again. */
  | 'giving-back'
  /** Redis has what is known of it, and moves it out of this worker's hands. */
  | 'leaving'
  /** Another worker has it, or it is in Redis no more; what goes on with it here is waited for. */
  | 'lost'
  /** It is held no more. */
  | 'gone';

/** What a push job does next, or what happens to it. */
export type JobEvent =
  | 'check'
  | 'wait'
  | 'announce'
  | 'hand-over'
  | 'report'
  | 'give-back'
  | 'leave'
  | 'lose'
  | 'forget';

/** Where each event leads from each state. What is not here does not happen. */
export const jobTransitions: Readonly<Record<JobState, Readonly<Partial<Record<JobEvent, JobState>>>>> = {
  opening: { check: 'checking', wait: 'ready', report: 'reporting', 'give-back': 'giving-back' },
  checking: { wait: 'ready', report: 'reporting', 'give-back': 'giving-back', lose: 'lost' },
  ready: {
    check: 'checking',
    announce: 'announcing',
    'hand-over': 'sending',
    'give-back': 'giving-back',
    lose: 'lost',
  },
  announcing: { wait: 'ready', 'give-back': 'giving-back', lose: 'lost' },
  sending: { report: 'reporting', 'give-back': 'giving-back', lose: 'lost' },
  reporting: { leave: 'leaving', lose: 'lost' },
  'giving-back': { leave: 'leaving', lose: 'lost' },
  leaving: { forget: 'gone' },
  lost: { forget: 'gone' },
  gone: {},
};

/** @throws when a push job has no such way: an error of this program */
export function nextJobState(state: JobState, event: JobEvent): JobState {
  const next = jobTransitions[state][event];
  if (next === undefined) throw new Error(`a push job that is ${state} cannot ${event}`);
  return next;
}
