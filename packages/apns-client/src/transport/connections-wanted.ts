// How many connections a transport wants: a value of values. What a connection lets be under way (the gateway's streams,
// its window of flow control, the window of TCP) comes back after a round trip, so that one connection carries that much in
// each. More connections carry more only as long as it is the distance that answers wait for: once they take longer than the
// round trip, the gateway, or a processor, is what bounds the rate. While something waits there are never fewer wanted.

/** Times in milliseconds, everything else in requests. */
export interface ConnectionLoad {
  /** Connections that the gateway serves. */
  readonly serving: number;
  /** Requests that no connection takes now. */
  readonly waiting: number;
  /** For how long there have been such requests, without a break. */
  readonly waitedMs: number;
  /** Requests under way on all connections: now, where some wait; else the most of late. */
  readonly underWay: number;
  /** What one connection let be under way when it was last used up; undefined: none has been. */
  readonly perConnection: number | undefined;
  /** There and back, when nothing else is under way; undefined: not measured yet. */
  readonly roundTripMs: number | undefined;
  /** What answers take now; undefined: none has come of late. */
  readonly answerMs: number | undefined;
}

export interface ConnectionBounds {
  readonly least: number;
  readonly most: number;
}

/** Times what the distance explains. While something waits: the quickest answer stands for the round trip, which varies. */
const headroom = { whileWaiting: 2, otherwise: 1.25 };
/** A shorter wait is no backlog, but a burst. */
const shortestWaitMs = 20;
const waitByRoundTrip = 1.5;

export function connectionsWanted(load: ConnectionLoad, { least, most }: ConnectionBounds): number {
  return Math.max(least, Math.min(most, load.waiting > 0 ? whileWaiting(load) : whileFlowing(load)));
}

function whileWaiting({
  serving,
  waiting,
  waitedMs,
  underWay,
  roundTripMs,
  answerMs,
}: ConnectionLoad): number {
  // A gateway that does not answer is not helped by another connection.
  if (roundTripMs === undefined || answerMs === undefined || underWay === 0) return serving;
  if (waitedMs < Math.max(shortestWaitMs, waitByRoundTrip * roundTripMs)) return serving;
  const byDistance = answerMs > roundTripMs ? roundTripMs / answerMs : 1;
  const byDemand = Math.ceil(headroom.whileWaiting * serving * byDistance);
  // No more than what waits would fill.
  return Math.max(serving, Math.min(byDemand, Math.ceil(serving * (1 + waiting / underWay))));
}

function whileFlowing({ underWay, perConnection }: ConnectionLoad): number {
  return perConnection === undefined ? 1 : Math.ceil((headroom.otherwise * underWay) / perConnection);
}
