import { ApnsWireError } from '../errors.ts';

export type PayloadErrorCode = 'payload-invalid' | 'payload-too-large';

/** A payload that APNs or the device would refuse or misread. The message begins with the field. */
export class PayloadError extends ApnsWireError {
  override readonly name = 'PayloadError';
  declare readonly code: PayloadErrorCode;
  /** Path of the field as the caller wrote it: `alert.body`, `payload.aps.alert.body`; `payload` for the whole. */
  readonly field: string;

  constructor(code: PayloadErrorCode, field: string, reason: string) {
    super(code, `${field}: ${reason}`);
    this.field = field;
  }
}

export function invalid(field: string, reason: string): PayloadError {
  return new PayloadError('payload-invalid', field, reason);
}
