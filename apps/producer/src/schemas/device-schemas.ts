import { type ParsedField, parseLocale, parseTag, parseTimeZone } from '@pushfleet/token-store';
import { z } from 'zod';
import { appId, deviceToken, refusalOf, userId } from './notification-schemas.ts';
import { nextOf } from './page-schemas.ts';

/** In the spelling that is stored, whatever the caller's is. */
const storedAs = (parse: (text: string) => ParsedField) => (text: string) => {
  const parsed = parse(text);
  return 'value' in parsed ? parsed.value : text;
};

export const timeZone = z
  .string()
  .max(64)
  .superRefine(refusalOf(parseTimeZone))
  .overwrite(storedAs(parseTimeZone))
  .meta({ examples: ['Europe/Berlin'] });

export const locale = z
  .string()
  .max(64)
  .superRefine(refusalOf(parseLocale))
  .overwrite(storedAs(parseLocale))
  .meta({ examples: ['de-DE'] });

export const tag = z.string().min(1).max(128).superRefine(refusalOf(parseTag));

/** What an app tells of a device; a field left out stays as it is, null clears it. */
export const registrationFields = {
  userId: userId.nullable().optional(),
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

export const devicePageSchema = z
  .strictObject({
    devices: z.array(deviceSchema),
    next: nextOf(z.string()),
  })
  .meta({ id: 'DevicePage' });
