import { z } from 'zod';
import { appId, deviceToken, userId } from './notification-schemas.ts';

/** IANA names and offsets, as the run-time knows them. */
const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be a time zone such as Europe/Berlin')
  .meta({ examples: ['Europe/Berlin'] });

const locale = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9]{1,8}([-_][A-Za-z0-9]{1,16})*$/, 'must be a locale such as de-DE')
  .meta({ examples: ['de-DE'] });

export const tag = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'must be text');

const storedUserId = userId.refine((text) => text.isWellFormed() && !text.includes('\0'), 'must be text');

/** What an app tells of a device; a field left out stays as it is, null clears it. */
export const registrationFields = {
  userId: storedUserId.nullable().optional(),
  tags: z.array(tag).max(256).optional(),
  locale: locale.nullable().optional(),
  timeZone: timeZone.nullable().optional(),
  previousToken: deviceToken.optional().meta({
    description: 'The token that this one replaces: what is known of it is taken over, and it is removed.',
  }),
};

export const registrationSchema = z
  .strictObject({ app: appId, ...registrationFields })
  .meta({ id: 'DeviceRegistration' });

export const registrationAnswerSchema = z
  .strictObject({
    token: z.string(),
    created: z.boolean(),
    reactivated: z.boolean(),
    moved: z.boolean().meta({ description: 'It belonged to another user before.' }),
    replaced: z.boolean().meta({ description: 'The previous token was known, and is gone.' }),
  })
  .meta({ id: 'DeviceRegistered' });

const instant = z.iso.datetime();

export const deviceSchema = z
  .strictObject({
    app: appId,
    token: z.string(),
    userId: z.string().nullable(),
    tags: z.array(z.string()),
    locale: z.string().nullable(),
    timeZone: z.string().nullable(),
    registeredAt: instant,
    createdAt: instant,
    active: z.boolean(),
    deactivation: z
      .strictObject({
        at: instant,
        source: z.enum(['feedback', 'unregistered', 'invalid-token']),
        status: z.int().nullable(),
        evidenceAt: instant.meta({ description: 'What the last registration was older than.' }),
      })
      .nullable(),
  })
  .meta({ id: 'Device' });
export type DeviceAnswer = z.infer<typeof deviceSchema>;

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
