import { type Lane, lanes } from '@pushfleet/push-queue';
import type { LaneView } from '../lane/app-lane.ts';

// What the loop of one app does next, from what it sees: values in, a value out. The loop observes, asks for the next
// step, takes it, and observes again, until there is none.

/** A probe: the one push job that is sent while the app is restricted, to find out whether the trouble is over. */
export interface Probe {
  /** `pause`: the fleet is paused. `health`: the app is slowed here. */
  readonly about: 'pause' | 'health';
  /** Notifications of it that may be handed over. */
  readonly most: number;
}

/** What can be seen of one app. */
export interface AppView {
  /** The app is paused, or slowed: nothing but a probe may be sent. */
  readonly isRestricted: boolean;
  /** Armed with the taking of its push job; handed over when that is. */
  readonly probe: (Probe & { readonly isHandedOver: boolean }) | undefined;
  /** The probe that may be sent now, should there be a push job for it. */
  readonly dueProbe: Probe | undefined;
  /** The transport is to hand back what it has not written. */
  readonly isRecallDue: boolean;
  /** The memory budget allows one push job more. */
  readonly mayHoldMore: boolean;
  readonly lanes: Readonly<Record<Lane, LaneView>>;
}

export type Step =
  | { readonly kind: 'recall' | 'end-probe' }
  | { readonly kind: 'give-back' | 'open-transport' | 'announce' | 'check'; readonly lane: Lane }
  | { readonly kind: 'hand-over'; readonly lane: Lane; readonly most: number | undefined }
  | { readonly kind: 'take'; readonly lane: Lane; readonly probe: Probe | undefined };

/** Push jobs of a lane that are taken and not handed over, at most: what keeps the transport busy while Redis answers. */
const mostAhead = 8;
/** About what one push job takes of the transport's room. */
const roomPerJob = 1_000;

/** The next step of an app; undefined: nothing can be done now. The transactional lane comes first in all. */
export function planStep(view: AppView): Step | undefined {
  if (view.isRecallDue) return { kind: 'recall' };
  const isIdle = lanes.every((lane) => view.lanes[lane].isIdle);
  if (isIdle && view.probe !== undefined) return { kind: 'end-probe' };
  for (const lane of lanes) {
    const step = planHandOver(view, lane);
    if (step !== undefined) return step;
  }
  for (const lane of lanes) {
    const step = planTake(view, lane, isIdle);
    if (step !== undefined) return step;
  }
  return undefined;
}

/** What becomes of the first push job of a lane that is ready. */
function planHandOver(view: AppView, lane: Lane): Step | undefined {
  const { ready, isTransportMissing, mayHandOver, allowance, firstNeeds } = view.lanes[lane];
  if (ready === 0) return undefined;
  if (view.isRestricted && view.probe === undefined) return { kind: 'give-back', lane };
  if (isTransportMissing) return { kind: 'open-transport', lane };
  if (view.isRestricted && view.probe?.isHandedOver === true) return undefined;
  if (!mayHandOver || allowance <= 0) return undefined;
  if (firstNeeds === 'announcing') return { kind: 'announce', lane };
  if (firstNeeds === 'checking') return { kind: 'check', lane };
  return { kind: 'hand-over', lane, most: view.probe?.most };
}

/** Whether a push job of a lane is taken. While a probe is out, and while one cannot be sent, none is. */
function planTake(view: AppView, lane: Lane, isIdle: boolean): Step | undefined {
  const { mayAsk, ahead, room, allowance } = view.lanes[lane];
  if (!mayAsk || view.probe !== undefined) return undefined;
  if (view.isRestricted) {
    const { dueProbe } = view;
    return isIdle && dueProbe !== undefined && room > 0 ? { kind: 'take', lane, probe: dueProbe } : undefined;
  }
  // One push job is ready when the rate lets it go; others are better off where another worker can take them.
  if (allowance <= 0 && ahead > 0) return undefined;
  if (ahead >= mostAhead || !view.mayHoldMore || room - ahead * roomPerJob <= 0) return undefined;
  return { kind: 'take', lane, probe: undefined };
}
