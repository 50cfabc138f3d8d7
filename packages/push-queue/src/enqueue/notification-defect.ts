import { DeviceTokenError } from '@pushfleet/apns-wire/device-token';
import { PayloadError } from '@pushfleet/apns-wire/payload';
import { PushQueueError } from '../push-queue-error.ts';

export function invalidField(field: string, reason: string, cause?: unknown): PushQueueError {
  return new PushQueueError('invalid-notification', `${field}: ${reason}`, { field, cause });
}

/** Says of an error of apns-wire which field of the call it is about; other errors come back as they are. */
export function locateDefect(error: unknown, path: string): unknown {
  if (error instanceof PayloadError) {
    const reason = error.message.slice(error.field.length + 2);
    return invalidField(path + error.field, reason, error);
  }
  if (error instanceof DeviceTokenError) {
    return invalidField(`${path}token`, error.message.replace(/^device token: /, ''), error);
  }
  if (error instanceof PushQueueError && error.field !== undefined && path !== '') {
    return invalidField(path + error.field, error.message.slice(error.field.length + 2), error);
  }
  return error;
}
