import { expect, test } from 'vitest';
import { gatewayAnswer, type StatusMeaning, statusMeaning } from '../src/binary/status-policy.ts';

// The table of `docs/protocol/binary.md#error-response`, typed from it.
const table: readonly (readonly [number, string, StatusMeaning])[] = [
  [0, 'no-errors', 'accepted'],
  [1, 'processing-error', 'retryable'],
  [2, 'missing-device-token', 'rejected'],
  [3, 'missing-topic', 'credential'],
  [4, 'missing-payload', 'rejected'],
  [5, 'invalid-token-size', 'rejected'],
  [6, 'invalid-topic-size', 'credential'],
  [7, 'invalid-payload-size', 'rejected'],
  [8, 'invalid-token', 'rejected'],
  [10, 'shutdown', 'accepted'],
  [128, 'protocol-error', 'retryable'],
  [255, 'none', 'retryable'],
  [77, 'unknown-77', 'retryable'],
  [9, 'unknown-9', 'retryable'],
];

test.for(table)('status %d, %s, means %s', ([status, reason, meaning]) => {
  expect(statusMeaning(status, 'last-sent')).toBe(meaning);
  expect(gatewayAnswer(status)).toEqual({
    reason,
    status,
    fault: 'notification',
    tokenInvalid: status === 8,
  });
});

test('a shutdown can be set to name the first notification that was not sent', () => {
  expect(statusMeaning(10, 'first-unsent')).toBe('unprocessed');
});
