// Written by `node benchmarks/src/write-capacity.ts` from benchmarks/results/cost.json, and held to it by a test.

/** What a million notifications of a broadcast over HTTP/2 take, at 50 ms. */
export const measured = {
  /** The day, and the machine. */
  on: '2026-12-01',
  machine: 'Intel(R) Xeon(R) Processor, 2 cores',
  /** Processor time, seconds. */
  secondsPerMillion: {
    Postgres: 4.81,
    producer: 1.43,
    Redis: 1.28,
    worker: 3.03,
    sweeper: 0.97,
  },
  /** Between worker and gateway, both ways. */
  gatewayMegabytesPerMillion: 308.6,
} as const;
