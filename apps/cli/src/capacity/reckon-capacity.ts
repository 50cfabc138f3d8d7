import type { measured } from './measured-figures.ts';

/** What is wanted, and how the gateway is. */
export interface CapacityWish {
  /** Notifications per second. */
  readonly rate: number;
  /** Round trip to the gateway, milliseconds. */
  readonly rttMs: number;
  /** Concurrent streams that the gateway takes on a connection. */
  readonly streams: number;
  /** Its flow-control window of a connection, bytes. */
  readonly windowBytes: number;
  /** Of one notification. */
  readonly payloadBytes: number;
  /** Connections that one worker may open for an app: `connections` of pushfleet.yaml. */
  readonly connectionsPerWorker: number;
}

export interface Capacity {
  /** Requests that one connection can have under way. */
  readonly underWay: number;
  readonly isBoundBy: 'streams' | 'window';
  /** Notifications per second of one connection. */
  readonly perConnection: number;
  /** Of the fleet for the bulk lane; each worker has one more for the transactional lane. */
  readonly connections: number;
  /** Notifications per second of one worker, by its processor. */
  readonly perWorker: number;
  readonly workersByProcessor: number;
  readonly workersByConnections: number;
  readonly workers: number;
  /** Cores at full use, by station. */
  readonly cores: Readonly<Record<keyof typeof measured.secondsPerMillion, number>>;
  /** Redis has one thread for commands: apps have to be spread over so many. */
  readonly redises: number;
  /** Bytes that ten seconds of backlog take in Redis. */
  readonly backlogBytes: number;
  /** Megabits per second to and from the gateway. */
  readonly megabits: number;
}

/** How much of a core is planned with: the rest is for peaks, garbage collectors and the kernel. */
export const plannedShare = 0.7;
/** A notification in a push job of 1,000, in Redis (docs/operations.md#sizing). */
const queuedBytes = 50;
export const backlogSeconds = 10;

export function reckonCapacity(wish: CapacityWish, figures: typeof measured): Capacity {
  const { rate, rttMs, streams, windowBytes, payloadBytes, connectionsPerWorker } = wish;
  const byWindow = Math.max(1, Math.floor(windowBytes / payloadBytes));
  const underWay = Math.min(streams, byWindow);
  const perWorker = (1e6 / figures.secondsPerMillion.worker) * plannedShare;
  // At no distance one connection does what its worker does.
  const perConnection = Math.min(perWorker, rttMs === 0 ? perWorker : underWay / (rttMs / 1_000));
  const connections = Math.ceil(rate / perConnection);
  const workersByProcessor = Math.ceil(rate / perWorker);
  const workersByConnections = Math.ceil(connections / Math.max(1, connectionsPerWorker - 1));
  const cores = Object.fromEntries(
    Object.entries(figures.secondsPerMillion).map(([name, seconds]) => [name, (seconds * rate) / 1e6]),
  ) as Capacity['cores'];
  return {
    underWay,
    isBoundBy: byWindow < streams ? 'window' : 'streams',
    perConnection,
    connections,
    perWorker,
    workersByProcessor,
    workersByConnections,
    workers: Math.max(workersByProcessor, workersByConnections),
    cores,
    redises: Math.ceil(cores.Redis / plannedShare),
    backlogBytes: rate * backlogSeconds * queuedBytes,
    megabits: ((figures.gatewayMegabytesPerMillion * rate) / 1e6) * 8,
  };
}
