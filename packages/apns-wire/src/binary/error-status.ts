/**
 * Status byte of the error-response packet (`docs/protocol/binary.md#error-response`). Others may come: an unknown
 * one is a value.
 */
export const ErrorStatus = {
  noErrors: 0,
  processingError: 1,
  missingDeviceToken: 2,
  missingTopic: 3,
  missingPayload: 4,
  invalidTokenSize: 5,
  invalidTopicSize: 6,
  invalidPayloadSize: 7,
  invalidToken: 8,
  /** Maintenance: the packet's identifier is the last one that was sent successfully. */
  shutdown: 10,
  protocolError: 128,
  none: 255,
} as const;

const names: ReadonlyMap<number, string> = new Map([
  [ErrorStatus.noErrors, 'no-errors'],
  [ErrorStatus.processingError, 'processing-error'],
  [ErrorStatus.missingDeviceToken, 'missing-device-token'],
  [ErrorStatus.missingTopic, 'missing-topic'],
  [ErrorStatus.missingPayload, 'missing-payload'],
  [ErrorStatus.invalidTokenSize, 'invalid-token-size'],
  [ErrorStatus.invalidTopicSize, 'invalid-topic-size'],
  [ErrorStatus.invalidPayloadSize, 'invalid-payload-size'],
  [ErrorStatus.invalidToken, 'invalid-token'],
  [ErrorStatus.shutdown, 'shutdown'],
  [ErrorStatus.protocolError, 'protocol-error'],
  [ErrorStatus.none, 'none'],
]);

/** Stable kebab-case name of a status, such as `invalid-token`; `unknown-<n>` for one that no source names. */
export function errorStatusName(status: number): string {
  return names.get(status) ?? `unknown-${status}`;
}
