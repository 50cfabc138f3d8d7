import type { Row } from '../run-row.ts';
import { reason, secondMs, wide } from './gateways-in-trouble.ts';

/** One connection does not do its work, others do. */
export const illConnections: readonly Row[] = [
  {
    name: 'steady 500 on connection 1',
    transport: 'http2',
    bars: { calls: 4_300, recoveryMs: 10 * secondMs },
    gateway: () => ({
      request: (_, { number }) => (number === 1 ? reason(500, 'InternalServerError') : 'take'),
    }),
  },
  {
    name: 'steady 503 on odd connections',
    transport: 'http2',
    bars: { calls: 4_300, recoveryMs: 10 * secondMs },
    gateway: () => ({
      request: (_, { number }) => (number % 2 === 1 ? reason(503, 'ServiceUnavailable') : 'take'),
    }),
  },
  {
    name: 'status 1 at the 20th of odd connections',
    transport: 'binary',
    bars: { recoveryMs: 10 * secondMs },
    app: wide,
    gateway: () => ({
      frame: (_, { number, frames }) => (number % 2 === 1 && frames === 20 ? { status: 1 } : 'take'),
    }),
  },
];
