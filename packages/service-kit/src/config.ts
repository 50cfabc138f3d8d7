import { z } from 'zod';

// The one configuration file, `pushfleet.yaml`. Paths are relative to the file.

/** A duration: milliseconds as a number, or text such as `500ms`, `30s`, `10m`, `1h`, `1d`. Gives milliseconds. */
export const durationSchema = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'must be a duration such as 500ms, 30s, 10m, 1h or 1d')
    .transform((text) => {
      const unit = text.replace(/[\d.]/g, '') as 'ms' | 's' | 'm' | 'h' | 'd';
      return Number.parseFloat(text) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
    }),
]);

const port = z.int().min(1).max(65_535);

export const credentialSchema = z.union([
  z.strictObject({
    p12: z.string(),
    passphraseFile: z.string().optional(),
    passphraseEnv: z.string().optional(),
  }),
  z.strictObject({
    cert: z.string(),
    key: z.string(),
    passphraseFile: z.string().optional(),
    passphraseEnv: z.string().optional(),
  }),
  z.strictObject({ p8: z.string(), keyId: z.string().length(10), teamId: z.string().length(10) }),
]);
export type CredentialConfig = z.infer<typeof credentialSchema>;

/** An app id is part of Redis keys and metric labels. */
export const appIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 characters of a-z, 0-9 and -, and not begin with -');

export const appSchema = z.strictObject({
  topic: z.string().min(1),
  environment: z.enum(['production', 'sandbox']),
  transport: z.enum(['binary', 'http2']),
  gateway: z.strictObject({ host: z.string(), port, ca: z.string().optional() }).optional(),
  feedback: z
    .strictObject({
      host: z.string().optional(),
      port: port.optional(),
      interval: durationSchema.default(3_600_000),
    })
    .optional(),
  credential: credentialSchema,
  commandVersion: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(2),
  connections: z.int().min(1).max(64).default(2),
  onUncertain: z.enum(['resend', 'drop']).default('resend'),
  /** Silence for this long after the write counts as acceptance, presumed. Milliseconds. */
  confirmAfter: durationSchema.default(1_000),
  /** Frames written and not yet settled, per connection. */
  window: z.int().min(1_000).max(10_000_000).default(200_000),
});
export type AppConfig = z.infer<typeof appSchema>;

export const fileSchema = z.strictObject({ apps: z.record(appIdSchema, appSchema) });
export type FleetFile = z.infer<typeof fileSchema>;
