import {
  type BatchInput,
  type CallOptions,
  createBatchId,
  fingerprintOf,
  type NotificationDefaults,
  notificationId,
  PushQueueError,
  type TokensResult,
} from '@pushfleet/push-queue';
import type { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { fieldErrors, summarize } from '../http/field-errors.ts';
import { Problem } from '../http/problem.ts';
import { type SendAnswer, sendManySchema, sendOneSchema } from '../schemas/notification-schemas.ts';
import { bindUsers, usersOf } from './bind-users.ts';
import { formatUsersNote, parseUsersNote } from './users-note.ts';

// A user stands for all devices of theirs that are active when it goes out. For what goes out at once their tokens are
// looked up, and what is then enqueued is a batch like any other; what goes out later is written down, and a runner does
// the same when its time has come (docs/decisions/0045-late-binding.md). With an idempotency key the call is recognised by what it asked for, not by the tokens that
// were found: those may have changed when it comes again.

type SendMany = z.infer<typeof sendManySchema>;

/** @throws Problem, PushQueueError, TokenStoreError */
export async function sendToUsers(context: ProducerContext, body: object): Promise<SendAnswer> {
  const call = parse(body);
  const startMs = check(context, body, call);
  const { app, idempotencyKey, notifications } = call;
  const { queue, database } = context;
  const keyed =
    idempotencyKey === undefined
      ? undefined
      : { key: idempotencyKey, fingerprint: fingerprintOf(withoutKey(call)) };
  if (keyed !== undefined) {
    const earlier = await queue.recall(app, keyed.key, keyed.fingerprint);
    if (earlier !== undefined) return answerAgain(context, call, startMs, earlier);
  }
  const bound = await bindUsers(database.store.devices, app, notifications);
  const { usersWithoutDevices } = bound;
  const isScheduled = startMs > Date.now();
  const note = formatUsersNote({ isScheduled, usersWithoutDevices }, usersOf(notifications));
  if (isScheduled) {
    // The key first: whoever repeats the call after a crash in between is told this id, and the send is written down then.
    const batchId = createBatchId();
    const kept =
      keyed === undefined
        ? undefined
        : await queue.reserve(app, keyed.key, { batchId, fingerprint: keyed.fingerprint, note });
    if (kept?.replayed === true) return answerAgain(context, call, startMs, kept);
    await writeDown(context, call, startMs, batchId);
    return answerOf(batchId, [], usersWithoutDevices);
  }
  if (bound.notifications.length === 0) {
    throw new Problem('no-devices', 'none of the users has a device that is active');
  }
  const sent = await queue.enqueueBatch(
    { ...call, notifications: bound.notifications } as unknown as BatchInput,
    keyed === undefined ? {} : { fingerprint: keyed.fingerprint, note },
  );
  const { batchId, notificationIds, replayed } = sent;
  if (replayed) return answerAgain(context, call, startMs, { ...sent, count: notificationIds.length });
  return answerOf(batchId, notificationIds, usersWithoutDevices);
}

/** As the first call with the key was answered. @throws TokenStoreError */
async function answerAgain(
  context: ProducerContext,
  call: SendMany,
  startMs: number,
  { batchId, count, note }: TokensResult,
): Promise<SendAnswer> {
  const { isScheduled, usersWithoutDevices } = parseUsersNote(note, usersOf(call.notifications));
  // Whoever answered the first one may have died before.
  if (isScheduled) await writeDown(context, call, startMs, batchId);
  const ids = Array.from({ length: count }, (_, place) => notificationId(batchId, place + 1));
  return { ...answerOf(batchId, ids, usersWithoutDevices), replayed: true };
}

function answerOf(
  batchId: string,
  notificationIds: readonly string[],
  usersWithoutDevices: readonly string[],
): SendAnswer {
  return {
    batchId,
    notificationIds: [...notificationIds],
    ...(usersWithoutDevices.length === 0 ? {} : { usersWithoutDevices: [...usersWithoutDevices] }),
  };
}

/** It goes out when its time has come. @throws TokenStoreError */
async function writeDown(
  { database, queue, scheduledSends }: ProducerContext,
  { app, lane = 'transactional', defaults, notifications }: SendMany,
  startMs: number,
  id: string,
): Promise<void> {
  const { maxScheduledNotifications, maxScheduledBytes } = queue.quotaOf(app) ?? {};
  const size = notifications.length;
  const max = maxScheduledNotifications ?? usualLimits.notifications;
  const used = await database.store.scheduledSends.create(
    { id, app, lane, size, sendAt: new Date(startMs), call: { defaults, notifications } },
    { notifications: max, bytes: maxScheduledBytes ?? usualLimits.bytes },
  );
  scheduledSends.wake();
  if (used === undefined) return;
  const what = used.notifications + size > max ? 'notifications' : 'bytes';
  const limit = what === 'bytes' ? 'maxScheduledBytes' : 'maxScheduledNotifications';
  throw new PushQueueError(
    'quota-exceeded',
    `${limit}: the app ${app} has ${used[what]} ${what} of scheduled sends to users waiting, and there is no room for more`,
    {
      quota: {
        limit,
        max: what === 'bytes' ? (maxScheduledBytes ?? usualLimits.bytes) : max,
        used: used[what],
        asked: what === 'bytes' ? Buffer.byteLength(JSON.stringify({ defaults, notifications })) : size,
      },
    },
  );
}

/** Of what waits in Postgres, where the app's quota says nothing: that of Redis is a share of its memory. */
const usualLimits = { notifications: 5_000_000, bytes: 4 * 1024 ** 3 };

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
 * the fields of the request. Returns when it may be sent from on, epoch milliseconds. @throws PushQueueError
 */
function check({ queue }: ProducerContext, body: object, call: SendMany): number {
  const { app, lane, sendAt, idempotencyKey, defaults, notifications } = call;
  const options = withoutUndefined({ app, lane, sendAt, idempotencyKey }) as unknown as CallOptions;
  const contents = notifications.map(({ token, userId, ...content }) => content as NotificationDefaults);
  if (!('notifications' in body)) return queue.checkDelivery(options, contents[0]!);
  return queue.checkBatch({
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
