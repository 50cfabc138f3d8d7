import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** How canaries end: `queued`: the one before has no outcome yet, and none was sent. */
const canaryOutcomes = [
  'accepted',
  'rejected',
  'expired',
  'cancelled',
  'dead',
  'not-enqueued',
  'queued',
] as const;
export type CanaryOutcome = (typeof canaryOutcomes)[number];

/** The metrics of the canary of one app. */
export interface CanaryMetrics {
  begin(everySeconds: number, nowSeconds: number): void;
  countSettled(outcome: CanaryOutcome, seconds: number): void;
  countMissed(outcome: 'not-enqueued' | 'queued'): void;
  setSucceeded(atSeconds: number): void;
}

/** Returns what makes the metrics of an app's canary; their series begin with `begin`. */
export function createCanaryMetrics(register: Registry): (app: string) => CanaryMetrics {
  const registers = [register];
  const total = new Counter({
    name: 'pushfleet_canary_total',
    help: 'Canaries, by how they ended',
    labelNames: ['app', 'outcome'],
    registers,
  });
  const roundTrip = new Histogram({
    name: 'pushfleet_canary_round_trip_seconds',
    help: 'From enqueueing a canary that was accepted to its outcome',
    labelNames: ['app'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  });
  const lastSuccess = new Gauge({
    name: 'pushfleet_canary_last_success_timestamp_seconds',
    help: 'When a canary was last accepted, epoch seconds; before the first one, when the worker began',
    labelNames: ['app'],
    registers,
  });
  const interval = new Gauge({
    name: 'pushfleet_canary_interval_seconds',
    help: 'How often a canary is sent',
    labelNames: ['app'],
    registers,
  });
  return (app) => ({
    begin(everySeconds, nowSeconds) {
      for (const outcome of canaryOutcomes) total.inc({ app, outcome }, 0);
      roundTrip.zero({ app });
      interval.set({ app }, everySeconds);
      lastSuccess.set({ app }, nowSeconds);
    },
    countSettled(outcome, seconds) {
      total.inc({ app, outcome });
      if (outcome === 'accepted') roundTrip.observe({ app }, seconds);
    },
    countMissed: (outcome) => total.inc({ app, outcome }),
    setSucceeded: (atSeconds) => lastSuccess.set({ app }, atSeconds),
  });
}
