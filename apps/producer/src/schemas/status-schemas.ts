import { z } from 'zod';
import { appId, lane } from './notification-schemas.ts';
import { nextOf } from './page-schemas.ts';

const count = z.int().min(0);
const instant = z.iso.datetime();
const cancelRequestedAt = instant.meta({
  description:
    'When it was asked to cancel what is queued of it. A worker ends it as `cancelled` when its time comes.',
});

export const certainty = z
  .strictObject({ proved: count, presumed: count })
  .meta({ description: 'Of `accepted`: proved by the gateway’s word, or presumed from its silence.' });

/** `size = accepted + rejected + expired + cancelled + dead + queued`, at any time. */
export const batchSchema = z
  .strictObject({
    batchId: z.uuid(),
    app: appId,
    lane,
    size: z
      .int()
      .min(1)
      .meta({
        description:
          'Notifications in it: the sum of all counts below. Of a send to users that is scheduled, until it goes out, as ' +
          'many as were asked for: each user is one.',
      }),
    state: z.enum(['queued', 'finished']),
    enqueuedAt: instant.optional(),
    sendAt: instant
      .optional()
      .meta({ description: 'Of a send to users that is scheduled, until it goes out.' }),
    cancelRequestedAt: cancelRequestedAt.optional(),
    error: z.string().optional().meta({
      description: 'Why a scheduled send to users could not go out; all of it is `rejected`.',
    }),
    usersWithoutDevices: z.array(z.string()).optional().meta({
      description: 'Of a scheduled send: users who had no device when it went out.',
    }),
    queued: count.meta({ description: 'Without an outcome so far.' }),
    accepted: count,
    certainty,
    rejected: count,
    expired: count,
    cancelled: count,
    dead: count,
  })
  .meta({ id: 'Batch' });
export type BatchAnswer = z.infer<typeof batchSchema>;

/** Of a request to cancel. */
export const cancellationSchema = z
  .strictObject({
    id: z.uuid(),
    queued: z.int().min(1).meta({ description: 'Notifications that had no outcome when it was asked for.' }),
    cancelRequestedAt,
    alreadyRequested: z
      .literal(true)
      .optional()
      .meta({ description: 'An earlier request asked for the same, at `cancelRequestedAt`.' }),
  })
  .meta({ id: 'Cancellation' });
export type CancellationAnswer = z.infer<typeof cancellationSchema>;

const notificationStates = [
  'queued',
  'settling',
  'accepted',
  'rejected',
  'expired',
  'cancelled',
  'dead',
] as const;

export const notificationSchema = z
  .strictObject({
    notificationId: z.uuid(),
    app: appId,
    lane,
    state: z.enum(notificationStates).meta({
      description:
        'An outcome, or `queued`, or `settling`: a worker has finished with it, and the outcome is on its way.',
    }),
    certainty: z.enum(['proved', 'presumed']).optional().meta({ description: 'Of `accepted`.' }),
    reason: z.string().optional().meta({ description: 'Of an outcome that is not `accepted`.' }),
    gatewayStatus: z.int().optional(),
    enqueuedAt: instant.optional(),
    sendAt: instant.optional(),
    cancelRequestedAt: cancelRequestedAt.optional(),
    settledAt: instant.optional(),
    deadLetter: z
      .strictObject({
        id: z.string(),
        replay: z.string().meta({ description: 'Path of the request that sends it again: `POST` it.' }),
      })
      .optional()
      .meta({ description: 'Of `dead`: the dead letter that holds it, as long as there is one.' }),
    replayedAs: z.uuid().optional().meta({
      description: 'Of `dead`: the batch that its dead letter was sent again as. Known for a day.',
    }),
  })
  .meta({ id: 'Notification' });
export type NotificationAnswer = z.infer<typeof notificationSchema>;

export const exceptionSchema = z
  .strictObject({
    index: z.int().min(1).meta({ description: 'In the batch.' }),
    notificationId: z.uuid(),
    token: z.string(),
    outcome: z.enum(['rejected', 'expired', 'cancelled', 'dead']),
    reason: z.string(),
    gatewayStatus: z.int().optional(),
    at: instant,
  })
  .meta({ id: 'Exception' });
export type ExceptionAnswer = z.infer<typeof exceptionSchema>;

export const exceptionPageSchema = z
  .strictObject({
    exceptions: z.array(exceptionSchema),
    next: nextOf(z.int()),
  })
  .meta({ id: 'ExceptionPage' });

export const broadcastExceptionSchema = exceptionSchema
  .extend({ batchId: z.uuid().meta({ description: 'Batch in which `index` counts.' }) })
  .meta({ id: 'BroadcastException' });

export const broadcastExceptionPageSchema = z
  .strictObject({
    exceptions: z.array(broadcastExceptionSchema),
    next: nextOf(z.string()),
  })
  .meta({ id: 'BroadcastExceptionPage' });

/** Of a device or a user, in any batch. */
export const foundExceptionPageSchema = z
  .strictObject({ exceptions: z.array(broadcastExceptionSchema), next: nextOf(z.uuid()) })
  .meta({ id: 'FoundExceptionPage' });
