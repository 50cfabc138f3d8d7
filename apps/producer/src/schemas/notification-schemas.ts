import { DeviceTokenError, parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { activityEvents, interruptionLevels } from '@pushfleet/apns-wire/payload';
import {
  appIdPattern,
  lanes,
  maxBatchNotifications,
  maxIdempotencyKeyLength,
  PushQueueError,
  parseTime,
  pushTypes,
} from '@pushfleet/push-queue';
import { parseUserId } from '@pushfleet/token-store';
import { z } from 'zod';

// The requests that enqueue. The push queue checks each notification itself, by hand and fast; these schemas describe
// the same to people and programs, and say all that is wrong with a request that the queue has refused.

export const appId = z
  .string()
  .regex(appIdPattern, 'must be the id of an app')
  .meta({ description: 'Id of the app, as in pushfleet.yaml.', examples: ['shop-prod'] });

export const time = z
  .union([z.number(), z.string().meta({ format: 'date-time' })], { error: 'must be epoch seconds or text' })
  .superRefine((value, context) => {
    try {
      parseTime('', value);
    } catch (error) {
      if (!(error instanceof PushQueueError)) throw error;
      context.addIssue({ code: 'custom', message: error.message.slice(2) });
    }
  })
  .meta({
    description: 'Epoch seconds, or ISO 8601 text with a zone.',
    examples: ['2030-01-31T12:00:00Z'],
  });

export const deviceToken = z
  .string()
  .superRefine((text, context) => {
    try {
      parseDeviceToken(text);
    } catch (error) {
      if (!(error instanceof DeviceTokenError)) throw error;
      context.addIssue({ code: 'custom', message: error.message.replace(/^device token: /, '') });
    }
  })
  .meta({
    description:
      'Device token: hex or base64 of 32 to 512 bytes; of an app on the binary protocol at most 100.',
    examples: ['a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90'],
  });

export const userId = z
  .string()
  .min(1)
  .max(255)
  .superRefine(refusalOf(parseUserId))
  .meta({ description: 'The business’ own id of a user.', examples: ['user-1'] });

export const lane = z.enum(lanes).meta({ id: 'Lane' });

const text = z.string();
const texts = z.array(text);
const jsonObject = z.record(z.string(), z.unknown());

const epochSeconds = z.int().min(0).max(99_999_999_999);

/** Of a Live Activity, what the app translates. */
const localizable = z
  .union([text, z.strictObject({ locKey: text, locArgs: texts.optional() }).meta({ id: 'LocalizedText' })], {
    error: 'must be text, such as "Hello", or, of a Live Activity, an object such as {"locKey":"HELLO"}',
  })
  .meta({ description: 'Of a Live Activity it may be localized.' });

const alertParts = z
  .strictObject({
    title: localizable,
    subtitle: text,
    body: localizable,
    launchImage: text,
    titleLocKey: text.nullable(),
    titleLocArgs: texts.nullable(),
    subtitleLocKey: text.nullable(),
    subtitleLocArgs: texts.nullable(),
    locKey: text.nullable(),
    locArgs: texts.nullable(),
    actionLocKey: text.nullable(),
    action: text.meta({ description: 'Of Safari’s website pushes.' }),
    sound: text.meta({ description: 'Of a Live Activity.' }),
  })
  .partial()
  .meta({ id: 'AlertParts' });

const soundParts = z
  .strictObject({
    name: text,
    critical: z.boolean().optional(),
    volume: z.number().min(0).max(1).optional(),
  })
  .meta({ id: 'SoundParts' });

/** What a push says. */
const contentFields = {
  alert: z
    .union([text, alertParts], {
      error: 'must be text, such as "Hello", or an object, such as {"title":"Hello"}',
    })
    .optional(),
  badge: z.int().min(0).optional().meta({ description: '0 removes the badge.' }),
  sound: z
    .union([text, soundParts], {
      error: 'must be text, such as "default", or an object, such as {"name":"alarm.caf"}',
    })
    .optional(),
  threadId: text.optional(),
  category: text.optional(),
  contentAvailable: z.boolean().optional(),
  mutableContent: z.boolean().optional(),
  targetContentId: text.optional(),
  interruptionLevel: z.enum(interruptionLevels).optional(),
  relevanceScore: z.number().optional(),
  filterCriteria: text.optional(),
  urlArgs: texts.optional(),
  contentChanged: z.boolean().optional(),
  event: z
    .enum(activityEvents)
    .optional()
    .meta({ description: 'Of a Live Activity; `start` needs `attributesType`, `attributes` and `alert`.' }),
  timestamp: epochSeconds.optional().meta({ description: 'Epoch seconds.' }),
  contentState: jsonObject.optional(),
  staleDate: epochSeconds.optional(),
  dismissalDate: epochSeconds.optional(),
  attributesType: text.optional(),
  attributes: jsonObject.optional(),
  inputPushToken: z.boolean().optional(),
  inputPushChannel: text.optional(),
  custom: jsonObject.optional().meta({ description: 'The app’s own keys, which lie beside `aps`.' }),
};

const pushType = z
  .union(
    [
      z.enum(pushTypes),
      z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be a word in lower case, such as alert'),
    ],
    {
      error: `must be one of ${pushTypes.join(', ')}`,
    },
  )
  .meta({
    id: 'PushType',
    description:
      'As the content says by default. One that is newer than those listed is taken together with `payload`. Apps on ' +
      'the binary protocol take `alert`, `background` and `mdm`.',
  });

/** How it is sent. */
const deliveryFields = {
  payload: jsonObject.optional().meta({
    description: 'The whole payload in Apple’s names, instead of the content fields.',
  }),
  truncate: z.boolean().optional().meta({
    description: 'Shorten the alert’s body when the payload is over the limit. Otherwise it is refused.',
  }),
  ttl: z.int().min(0).optional().meta({
    description:
      'Seconds that APNs may store it for; 0: try once. A day by default; 0 for `voip` and `pushtotalk`.',
  }),
  expiresAt: time.optional().meta({ description: 'Instead of `ttl`.' }),
  priority: z
    .literal([10, 5, 1])
    .optional()
    .meta({ description: '10 at once, 5 as the battery allows, 1 least (HTTP/2 only).' }),
  pushType: pushType.optional(),
  collapseId: z
    .string()
    .regex(
      /^(?=.{1,64}$)[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/,
      'must be 1 to 64 characters of ASCII, without a space at either end',
    )
    .optional()
    .meta({ description: 'Later notifications of the same id replace it on the device. HTTP/2 only.' }),
};

export const notificationFields = { ...contentFields, ...deliveryFields };

const target = {
  token: deviceToken.optional(),
  userId: userId.optional().meta({ description: 'Instead of `token`: all devices of this user.' }),
};

/** A check that throws nothing: it gives why a text is refused. */
type Refusal = (text: string) => { readonly refusal: string } | { readonly value: string };

/** Holds a field against the one check that it has. */
export function refusalOf(parse: Refusal) {
  return (text: string, context: z.core.$RefinementCtx<string>): void => {
    const parsed = parse(text);
    if ('refusal' in parsed) context.addIssue({ code: 'custom', message: parsed.refusal });
  };
}

/** JSON Schema has no short word for it; the descriptions do. */
const oneTarget: [check: (fields: { token?: unknown; userId?: unknown }) => boolean, description: object] = [
  ({ token, userId }) => (token === undefined) !== (userId === undefined),
  { path: ['token'], message: 'either token or userId must be there, and not both' },
];

const callFields = {
  app: appId,
  lane: lane.optional().meta({ description: '`transactional` by default.' }),
  sendAt: time.optional().meta({ description: 'Not before this time; at most 30 days ahead.' }),
  idempotencyKey: z
    .string()
    .max(maxIdempotencyKeyLength)
    .regex(/^[\x21-\x7e]+$/, 'must be 1 to 255 visible characters of ASCII without spaces')
    .optional()
    .meta({ description: 'Instead of the header `Idempotency-Key`.' }),
};

const contentSchema = z
  .strictObject(notificationFields)
  .meta({ id: 'NotificationContent', description: 'What a notification says, and how it is sent.' });

export const sendOneSchema = z
  .strictObject({ ...callFields, ...target, ...notificationFields })
  .refine(...oneTarget)
  .meta({ id: 'SendOne', description: 'One notification, to one device or to all devices of one user.' });

export const sendManySchema = z
  .strictObject({
    ...callFields,
    defaults: contentSchema.optional().meta({ description: 'What a notification leaves open.' }),
    notifications: z
      .array(z.strictObject({ ...target, ...notificationFields }).refine(...oneTarget))
      .min(1)
      .max(maxBatchNotifications),
  })
  .meta({
    id: 'SendMany',
    description: 'Many notifications. What one has itself goes before the defaults, field by field.',
  });

export const sendRequestSchema = z.union([sendOneSchema, sendManySchema]);

export const sendAnswerSchema = z
  .strictObject({
    batchId: z.uuid().meta({ description: 'For one device it is the notification’s own id.' }),
    notificationIds: z.array(z.uuid()).meta({
      description:
        'In the order of the request; of a user, one for each device. Empty where a send to users is scheduled: their ' +
        'devices are found when it goes out.',
    }),
    replayed: z.literal(true).optional().meta({
      description:
        'An earlier request with this idempotency key was answered with this; nothing is sent again.',
    }),
    usersWithoutDevices: z.array(z.string()).optional().meta({
      description: 'Users of the request to whom nothing can be sent.',
    }),
  })
  .meta({ id: 'SendAnswer' });
export type SendAnswer = z.infer<typeof sendAnswerSchema>;
