import { DeviceTokenError } from '@pushfleet/apns-wire/device-token';
import { PayloadError } from '@pushfleet/apns-wire/payload';
import { PushQueueError } from '../push-queue-error.ts';

export function invalidField(field: string, reason: string, cause?: unknown): PushQueueError {
  return new PushQueueError('invalid-notification', `${field}: ${reason}`, { field, cause });
}

/** Where a field of a notification is in the call: the path of what holds it, such as `defaults.`. */
export type PathOf = (field: string) => string;

/** Says of an error of apns-wire which field of the call it is about; other errors come back as they are. */
export function locateDefect(error: unknown, pathOf: PathOf): unknown {
  if (error instanceof PayloadError) {
    const reason = error.message.slice(error.field.length + 2);
    return invalidField(pathOf(error.field) + error.field, reason, error);
  }
  if (error instanceof DeviceTokenError) {
    return invalidField(`${pathOf('token')}token`, error.message.replace(/^device token: /, ''), error);
  }
  if (error instanceof PushQueueError && error.field !== undefined) {
    const path = pathOf(error.field);
    if (path !== '')
      return invalidField(path + error.field, error.message.slice(error.field.length + 2), error);
  }
  return error;
}

/** Of a notification of a batch: what it leaves to the defaults is at fault there. */
export function pathInBatch(input: unknown, defaults: object, place: number): PathOf {
  return (field) => {
    const [name = field] = field.split(/[.[]/, 1);
    const isOwn = (input as Record<string, unknown> | null)?.[name] !== undefined;
    const isDefault = !isOwn && (defaults as Record<string, unknown>)[name] !== undefined;
    return isDefault ? 'defaults.' : `notifications[${place}].`;
  };
}

/** Runs `encode`; its errors say where in the call the field is. */
export function located<T>(pathOf: PathOf, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    throw locateDefect(error, pathOf);
  }
}
