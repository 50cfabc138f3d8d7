/** What a service reports about itself: one table of stable codes, of this package and of the services. */
export type ServiceKitErrorCode =
  | 'config-invalid'
  | 'port-taken'
  | 'address-unavailable'
  | 'start-interrupted'
  | 'release-failed'
  | 'release-timeout';

/**
 * Base of the errors that people are meant to read: the message says what is wrong and what to do about it, so it is
 * printed without a stack. `Code` is the closed set of the part that throws it.
 */
export class ServiceError<Code extends string = string> extends Error {
  override readonly name: string = 'ServiceError';
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
