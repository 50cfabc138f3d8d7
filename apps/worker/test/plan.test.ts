import { expect, test } from 'vitest';
import { type AppView, type Probe, planStep, type Step } from '../src/app/plan.ts';
import type { LaneView } from '../src/lane/app-lane.ts';

/** A lane with room for everything and nothing to do. */
const calm: LaneView = {
  isIdle: true,
  ready: 0,
  firstNeeds: 'nothing',
  ahead: 0,
  mayAsk: false,
  isTransportMissing: false,
  room: 50_000,
  allowance: Infinity,
  mayHandOver: true,
};
/** Redis may have a job. */
const rung = { mayAsk: true };
/** Holds one job that can be handed over. */
const ready = { isIdle: false, ready: 1, ahead: 1 };
/** Holds jobs that are all with the gateway. */
const sending = { isIdle: false };

const pauseProbe: Probe = { about: 'pause', most: 1 };
const healthProbe: Probe = { about: 'health', most: 100 };
const armed = { isRestricted: true, probe: { ...healthProbe, isHandedOver: false } };
const out = { isRestricted: true, probe: { ...healthProbe, isHandedOver: true } };

interface Row {
  readonly name: string;
  readonly app?: Partial<AppView>;
  readonly transactional?: Partial<LaneView>;
  readonly bulk?: Partial<LaneView>;
  /** Undefined: nothing can be done. */
  readonly step: Step | undefined;
}

const transactional = 'transactional';
const bulk = 'bulk';

const rows: readonly Row[] = [
  { name: 'nothing to do', step: undefined },

  // Taking.
  {
    name: 'the doorbell rang',
    bulk: rung,
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  {
    name: 'it rang for both lanes: the transactional one is first',
    transactional: rung,
    bulk: rung,
    step: { kind: 'take', lane: transactional, probe: undefined },
  },
  {
    name: 'seven jobs are ahead, and there is room for an eighth',
    bulk: { ...rung, ahead: 7, isIdle: false },
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  { name: 'eight jobs are ahead', bulk: { ...rung, ahead: 8, isIdle: false }, step: undefined },
  {
    name: 'the jobs ahead will fill the room',
    bulk: { ...rung, ahead: 3, room: 3_000, isIdle: false },
    step: undefined,
  },
  {
    name: 'the jobs ahead leave room for one notification',
    bulk: { ...rung, ahead: 3, room: 3_001, isIdle: false },
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  { name: 'the window is full', transactional: { ...rung, room: 0 }, step: undefined },
  {
    name: 'the window is full for bulk alone',
    transactional: rung,
    bulk: { ...rung, room: -20 },
    step: { kind: 'take', lane: transactional, probe: undefined },
  },
  { name: 'the memory budget is used up', app: { mayHoldMore: false }, bulk: rung, step: undefined },
  {
    name: 'the transport is not built: the first job is what it is built for',
    bulk: { ...rung, isTransportMissing: true, mayHandOver: false, room: 1 },
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  {
    name: 'the transport cannot be built',
    bulk: { ...rung, mayHandOver: false, room: 0 },
    step: undefined,
  },

  // Held to a rate.
  {
    name: 'the rate of the lane is used up: one job is taken ahead',
    bulk: { ...rung, allowance: 0 },
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  {
    name: 'the rate is used up, and a job is ahead',
    bulk: { ...rung, ...ready, allowance: -990 },
    step: undefined,
  },
  {
    name: 'the rate lets a little go: the job goes as a whole',
    bulk: { ...ready, allowance: 0.5 },
    step: { kind: 'hand-over', lane: bulk, most: undefined },
  },
  {
    name: 'the rate of bulk is used up, and that of the other lane is not',
    transactional: { ...ready, allowance: 1 },
    bulk: { ...ready, allowance: 0 },
    step: { kind: 'hand-over', lane: transactional, most: undefined },
  },
  {
    name: 'the rate of the transactional lane does not hold bulk up',
    transactional: { ...ready, allowance: 0 },
    bulk: { ...ready, allowance: 1 },
    step: { kind: 'hand-over', lane: bulk, most: undefined },
  },
  {
    name: 'nothing is announced that the rate does not let go',
    bulk: { ...ready, firstNeeds: 'announcing', allowance: 0 },
    step: undefined,
  },
  {
    name: 'paused while a job waits for the rate',
    app: { isRestricted: true },
    bulk: { ...ready, allowance: 0 },
    step: { kind: 'give-back', lane: bulk },
  },

  // Handing over.
  { name: 'a job is ready', bulk: ready, step: { kind: 'hand-over', lane: bulk, most: undefined } },
  {
    name: 'jobs of both lanes are ready: the transactional one is first',
    transactional: ready,
    bulk: ready,
    step: { kind: 'hand-over', lane: transactional, most: undefined },
  },
  {
    name: 'a bulk job is ready, and a transactional one may be taken',
    transactional: rung,
    bulk: ready,
    step: { kind: 'hand-over', lane: bulk, most: undefined },
  },
  {
    name: 'a job is ready, and the transport is not built',
    bulk: { ...ready, isTransportMissing: true, mayHandOver: false, room: 1 },
    step: { kind: 'open-transport', lane: bulk },
  },
  {
    name: 'a job is ready, and enough waits in the transport to be written: others may be taken meanwhile',
    bulk: { ...ready, ...rung, mayHandOver: false },
    step: { kind: 'take', lane: bulk, probe: undefined },
  },
  {
    name: 'bulk has to wait, transactional has not',
    transactional: ready,
    bulk: { ...ready, mayHandOver: false },
    step: { kind: 'hand-over', lane: transactional, most: undefined },
  },
  {
    name: 'transactional has to wait, bulk has not',
    transactional: { ...ready, mayHandOver: false },
    bulk: ready,
    step: { kind: 'hand-over', lane: bulk, most: undefined },
  },
  {
    name: 'something may have been cancelled since the job was checked',
    bulk: { ...ready, firstNeeds: 'checking' },
    step: { kind: 'check', lane: bulk },
  },
  {
    name: 'Redis has to know before the job is handed over',
    transactional: { ...ready, firstNeeds: 'announcing' },
    step: { kind: 'announce', lane: transactional },
  },
  {
    name: 'nothing is announced or checked that cannot be handed over afterwards',
    transactional: { ...ready, firstNeeds: 'announcing', mayHandOver: false },
    bulk: { ...ready, firstNeeds: 'checking', mayHandOver: false },
    step: undefined,
  },

  // Restricted: paused, or slowed.
  { name: 'paused', app: { isRestricted: true }, transactional: rung, bulk: rung, step: undefined },
  {
    name: 'paused while a job is ready',
    app: { isRestricted: true },
    bulk: ready,
    step: { kind: 'give-back', lane: bulk },
  },
  {
    name: 'slowed: what the transport has not written comes back first',
    app: { isRestricted: true, isRecallDue: true },
    bulk: ready,
    step: { kind: 'recall' },
  },
  {
    name: 'a probe of a pause is due',
    app: { isRestricted: true, dueProbe: pauseProbe },
    bulk: rung,
    step: { kind: 'take', lane: bulk, probe: pauseProbe },
  },
  {
    name: 'a probe is due: it is tried with the transactional lane first',
    app: { isRestricted: true, dueProbe: healthProbe },
    transactional: rung,
    bulk: rung,
    step: { kind: 'take', lane: transactional, probe: healthProbe },
  },
  {
    name: 'a probe is taken although the memory budget is used up by others',
    app: { isRestricted: true, dueProbe: healthProbe, mayHoldMore: false },
    bulk: rung,
    step: { kind: 'take', lane: bulk, probe: healthProbe },
  },
  {
    name: 'a probe is due, and jobs from before are not back yet',
    app: { isRestricted: true, dueProbe: healthProbe },
    transactional: sending,
    bulk: rung,
    step: undefined,
  },
  {
    name: 'a probe is due, and the window is full',
    app: { isRestricted: true, dueProbe: healthProbe },
    bulk: { ...rung, room: 0 },
    step: undefined,
  },
  {
    name: 'a probe is due, and there is no job for it',
    app: { isRestricted: true, dueProbe: healthProbe },
    step: undefined,
  },

  // A probe is out.
  {
    name: 'the job of a probe is being taken',
    app: armed,
    transactional: { ...rung, isIdle: false, ahead: 1 },
    bulk: rung,
    step: undefined,
  },
  {
    name: 'there was no job for the probe',
    app: armed,
    step: { kind: 'end-probe' },
  },
  {
    name: 'the job of a probe is ready: as much of it goes as the probe may be',
    app: armed,
    bulk: ready,
    step: { kind: 'hand-over', lane: bulk, most: 100 },
  },
  {
    name: 'the job of a probe is ready, and has to be checked',
    app: armed,
    bulk: { ...ready, firstNeeds: 'checking' },
    step: { kind: 'check', lane: bulk },
  },
  {
    name: 'a probe is with the gateway: nothing else is taken or handed over',
    app: out,
    transactional: { ...ready, ...rung },
    bulk: { ...sending, ...rung },
    step: undefined,
  },
  { name: 'everything of a probe is back', app: out, bulk: rung, step: { kind: 'end-probe' } },
  {
    name: 'the trouble is over while a probe is with the gateway: no more is taken until it is back',
    app: { ...out, isRestricted: false },
    transactional: sending,
    bulk: rung,
    step: undefined,
  },
  {
    name: 'the trouble is over while the job of a probe is ready: no more of it goes than the probe may be',
    app: { ...armed, isRestricted: false },
    bulk: ready,
    step: { kind: 'hand-over', lane: bulk, most: 100 },
  },
];

test.each(rows)('the next step: $name', ({ app, step, ...changes }) => {
  const view: AppView = {
    isRestricted: false,
    probe: undefined,
    dueProbe: undefined,
    isRecallDue: false,
    mayHoldMore: true,
    ...app,
    lanes: { transactional: { ...calm, ...changes.transactional }, bulk: { ...calm, ...changes.bulk } },
  };
  expect(planStep(view)).toEqual(step);
});
