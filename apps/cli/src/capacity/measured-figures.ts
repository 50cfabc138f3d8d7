// Written by `node benchmarks/src/write-capacity.ts` from benchmarks/results/cost.json, and held to it by a test.

/** What a million notifications of a broadcast over HTTP/2 take, at 50 ms. */
export const measured = {
  /** The day, and the machine. */
  on: '2026-12-01',
  machine: 'Intel(R) Xeon(R) Processor, 2 cores',
  /** Processor time, seconds. */
  secondsPerMillion: {
    Postgres: 4.43,
    producer: 1.22,
    Redis: 1.04,
    worker: 2.84,
    sweeper: 0.75,
  },
  /** Between worker and gateway, both ways. */
  gatewayMegabytesPerMillion: 307.6,
} as const;
