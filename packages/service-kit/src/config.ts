import { appIdPattern } from '@pushfleet/push-queue/settings';
import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { durationSchema } from './duration.ts';

// The one configuration file, `pushfleet.yaml`. Paths are relative to the file.

const port = z.int().min(1).max(65_535);
const path = z.string().min(1);

/** Whichever of these an app has tells what kind of credential it is. */
export const credentialKinds = {
  p12: z.strictObject({ p12: path, passphraseFile: path.optional(), passphraseEnv: path.optional() }),
  cert: z.strictObject({
    cert: path,
    /** Absent: in the same file as the certificate. */
    key: path.optional(),
    passphraseFile: path.optional(),
    passphraseEnv: path.optional(),
  }),
  p8: z.strictObject({ p8: path, keyId: z.string().length(10), teamId: z.string().length(10) }),
} as const;

export type CredentialConfig = z.infer<(typeof credentialKinds)[keyof typeof credentialKinds]>;

/** Picks the kind by its name before it looks at the rest, so that a typing error is not told three times over. */
const credentialSchema = z.record(z.string(), z.unknown()).transform((fields, context) => {
  const kind = (['p12', 'cert', 'p8'] as const).filter((name) => name in fields);
  if (kind.length !== 1) {
    context.addIssue({ code: 'custom', message: 'must have exactly one of p12, cert (with key), p8' });
    return z.NEVER;
  }
  const parsed = credentialKinds[kind[0]!].safeParse(fields, { reportInput: true });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) context.issues.push(issue as z.core.$ZodRawIssue);
    return z.NEVER;
  }
  if ('passphraseFile' in fields && 'passphraseEnv' in fields) {
    context.addIssue({ code: 'custom', message: 'must not have both passphraseFile and passphraseEnv' });
  }
  return parsed.data as CredentialConfig;
});

export const appIdSchema = z
  .string()
  .regex(appIdPattern, 'must be 1 to 63 characters of a-z, 0-9 and -, and not begin with -');

/** When the rate of invalid tokens says that something else is wrong, such as the environment. */
const breakerSchema = z.strictObject({
  /** Share of invalid tokens among what the gateway decided, over the window; 1 switches the breaker off. */
  rate: z.number().gt(0).max(1).default(0.5),
  /** Decided notifications in the window before the rate counts. */
  minimum: z.int().min(1).default(1_000),
  window: durationSchema.default(60_000),
});

/** A silent push to a token of one's own every so often, to try the whole way. */
const canarySchema = z.strictObject({
  token: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){32,100}$/i, 'must be a device token: 64 to 200 hexadecimal digits')
    .transform((token) => token.toLowerCase()),
  every: durationSchema
    .refine((ms) => ms >= 10_000 && ms <= 86_400_000, 'must be 10s to 1d')
    .default(300_000),
});

/** How long dead letters are kept, and how much of them: the oldest go first. */
const deadLettersSchema = z.strictObject({
  keepFor: durationSchema
    .refine((ms) => ms >= 60_000, 'must be at least 1m: nobody could look at them')
    .default(30 * 86_400_000),
  /** Of their data, in Redis. */
  maxBytes: bytesSchema
    .refine((bytes) => bytes >= 16 * 1024 * 1024, 'must be at least 16MiB: one letter may take half of that')
    .default(256 * 1024 * 1024),
});

/** What may lie in the queues of an app; scheduled sends apart. Absent: push-queue's defaults. */
const queueSchema = z.strictObject({
  maxNotifications: z.int().min(1).optional(),
  maxBytes: bytesSchema.refine((bytes) => bytes >= 1024 ** 2, 'must be at least 1MiB').optional(),
  /** 0: nothing can be scheduled. */
  maxScheduledNotifications: z.int().min(0).optional(),
  maxScheduledBytes: bytesSchema.optional(),
});

/** Becomes part of a header. */
const headerText = z
  .string()
  .min(1)
  .regex(/^[\x21-\x7e]*$/, 'must be visible characters of ASCII without spaces');

export const appSchema = z.strictObject({
  topic: headerText,
  environment: z.enum(['production', 'sandbox']),
  transport: z.enum(['binary', 'http2']),
  gateway: z.strictObject({ host: headerText, port, ca: path.optional() }).optional(),
  feedback: z
    .strictObject({
      host: headerText.optional(),
      port: port.optional(),
      interval: durationSchema.default(3_600_000),
    })
    .optional(),
  credential: credentialSchema,
  /** An HTTP proxy that makes tunnels (CONNECT), between us and the gateway; for http2. */
  proxy: z
    .strictObject({
      host: headerText,
      port,
      /** Holds `user:password`. */
      credentialFile: path.optional(),
    })
    .optional(),
  commandVersion: z.literal([0, 1, 2]).default(2),
  /** Absent: the transport's default. */
  connections: z.int().min(1).max(1_000).optional(),
  /** Kept as long as there are any; for http2. */
  leastConnections: z.int().min(1).max(1_000).default(1),
  onUncertain: z.enum(['resend', 'drop']).default('resend'),
  /** `proved`: silence is not taken for acceptance; connections are rotated to prove what they wrote. */
  confirm: z.enum(['presumed', 'proved']).default('presumed'),
  /** Silence for this long after the write counts as acceptance, presumed. Milliseconds. */
  confirmAfter: durationSchema.default(1_000),
  /** Notifications in flight per connection, at most. Binary: frames written and not yet settled; with silence as the
   * only word for success, about what a connection writes in `confirmAfter`. HTTP/2: handed over and not yet answered.
   * The default is the transport's. */
  window: z.int().min(1_000).max(10_000_000).optional(),
  /** Requests that wait for their answers on one HTTP/2 connection, at most, also where the gateway allows more. */
  streams: z.int().min(1).max(100_000).default(2_000),
  /** Notifications that one worker hands over in a second, at most, each lane by itself; absent: no limit. */
  rate: z.int().min(1).max(10_000_000).optional(),
  /** Tries of a notification, where the gateway's trouble may be the notification's own, before it is dead. */
  attempts: z.int().min(1).max(100).default(5),
  /** How long a notification is tried again where the trouble is not its own, unless it expires before. Milliseconds. */
  retryFor: durationSchema.default(86_400_000),
  /** What the identifier of status 10 names: the last one sent, as Apple documents, or the first one not sent. */
  shutdownIdentifier: z.enum(['last-sent', 'first-unsent']).default('last-sent'),
  /** Connections that one worker may attempt in a minute for a lane, the first half of them at once: rapid connecting
   * is treated as an attack, and each bad token costs a connection. */
  connectsPerMinute: z.int().min(2).max(1_000_000).default(600),
  breaker: breakerSchema.prefault({}),
  queue: queueSchema.optional(),
  deadLetters: deadLettersSchema.prefault({}),
  canary: canarySchema.optional(),
});
export type AppConfig = z.infer<typeof appSchema>;
