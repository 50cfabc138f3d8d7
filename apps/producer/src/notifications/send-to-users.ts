import {
  type BatchInput,
  type CallOptions,
  fingerprintOf,
  maxBatchNotifications,
  type NotificationDefaults,
  notificationId,
} from '@pushfleet/push-queue';
import type { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { fieldErrors, summarize } from '../http/field-errors.ts';
import { Problem } from '../http/problem.ts';
import { type SendAnswer, sendManySchema, sendOneSchema } from '../schemas/notification-schemas.ts';

// A user stands for all devices of theirs that are active. Their tokens are looked up, and what is then enqueued is a
// batch like any other. With an idempotency key the call is recognised by what it asked for, not by the tokens that
// were found: those may have changed when it comes again.

/** Whether Postgres has to be asked. Anything that is not as it should be is left to the checks that follow. */
export function namesUsers(body: object): boolean {
  if ('userId' in body) return true;
  const { notifications } = body as { notifications?: unknown };
  if (!Array.isArray(notifications)) return false;
  return notifications.some((each: unknown) => typeof each === 'object' && each !== null && 'userId' in each);
}

type SendMany = z.infer<typeof sendManySchema>;

/** @throws Problem, PushQueueError, TokenStoreError */
export async function sendToUsers(context: ProducerContext, body: object): Promise<SendAnswer> {
  const call = parse(body);
  check(context, body, call);
  const { app, idempotencyKey } = call;
  const fingerprint = idempotencyKey === undefined ? '' : fingerprintOf(withoutKey(call));
  if (idempotencyKey !== undefined) {
    const earlier = await context.queue.recall(app, idempotencyKey, fingerprint);
    if (earlier !== undefined) {
      const notificationIds = Array.from({ length: earlier.count }, (_, place) =>
        notificationId(earlier.batchId, place + 1),
      );
      return { batchId: earlier.batchId, notificationIds, replayed: true };
    }
  }
  const users = new Set(call.notifications.flatMap(({ userId }) => userId ?? []));
  const devices = Map.groupBy(
    // One more than may be sent is enough to know that it is too many.
    await context.database.store.devices.findTokensOfUsers(app, [...users], maxBatchNotifications + 1),
    ({ userId }) => userId,
  );
  // Before they are made: a user may be named again and again.
  checkCount(
    call.notifications.reduce(
      (sum, { userId }) => sum + (userId === undefined ? 1 : (devices.get(userId)?.length ?? 0)),
      0,
    ),
  );
  const notifications = call.notifications.flatMap(({ userId, ...notification }) =>
    userId === undefined
      ? [notification]
      : (devices.get(userId) ?? []).map(({ token }) => ({ ...notification, token })),
  );
  const usersWithoutDevices = [...users].filter((user) => !devices.has(user));
  const { batchId, notificationIds, replayed } = await context.queue.enqueueBatch(
    { ...call, notifications } as unknown as BatchInput,
    idempotencyKey === undefined ? {} : { fingerprint },
  );
  return {
    batchId,
    notificationIds: [...notificationIds],
    ...(replayed ? { replayed } : {}),
    ...(usersWithoutDevices.length === 0 ? {} : { usersWithoutDevices }),
  };
}

/** One notification is a batch of one, so that its devices are. @throws Problem */
function parse(body: object): SendMany {
  const isMany = 'notifications' in body;
  const parsed = (isMany ? sendManySchema : sendOneSchema).safeParse(body, { reportInput: true });
  if (!parsed.success) {
    const errors = fieldErrors(parsed.error, 'body');
    throw new Problem('invalid-notification', summarize(errors), { errors });
  }
  if ('notifications' in parsed.data) return parsed.data;
  const { app, lane, sendAt, idempotencyKey, ...notification } = parsed.data;
  return { app, lane, sendAt, idempotencyKey, notifications: [notification] };
}

/**
 * Holds what is to be sent against the checks of the push queue, before anything is looked up, so that errors name
 * the fields of the request. @throws PushQueueError
 */
function check({ queue }: ProducerContext, body: object, call: SendMany): void {
  const { app, lane, sendAt, idempotencyKey, defaults, notifications } = call;
  const options = withoutUndefined({ app, lane, sendAt, idempotencyKey }) as unknown as CallOptions;
  const contents = notifications.map(({ token, userId, ...content }) => content as NotificationDefaults);
  if (!('notifications' in body)) queue.checkDelivery(options, contents[0]!);
  else
    queue.checkBatch({
      ...options,
      notifications: contents,
      ...(defaults === undefined ? {} : { defaults: defaults as NotificationDefaults }),
    });
}

function withoutUndefined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function withoutKey({ idempotencyKey, ...call }: SendMany): object {
  return call;
}

function checkCount(count: number): void {
  if (count === 0) throw new Problem('no-devices', 'none of the users has a device that is active');
  if (count <= maxBatchNotifications) return;
  const message = `stands for more than ${maxBatchNotifications} devices together, which is what fits in one request`;
  throw new Problem('invalid-notification', `userId: ${message}`, { errors: [{ field: 'userId', message }] });
}
