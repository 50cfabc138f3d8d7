import { isIP } from 'node:net';
import { redisProtocols } from '@pushfleet/push-queue/settings';
import { z } from 'zod';
import { durationSchema } from '../duration.ts';
import { logLevels } from '../log/log-level.ts';
import { composeVariables, developmentVariables } from './outside-variables.ts';
import { portText, services, variable } from './variable.ts';

// Every variable of Pushfleet's own, once: what services parse, what errors propose, and what docs/settings.md lists.
// OpenTelemetry's variables are OpenTelemetry's (tracing/tracing-environment.ts).

/** The message never holds the value: it may hold a password. */
function urlOf(protocols: readonly string[]) {
  const wanted = protocols.map((protocol) => `${protocol}//`).join(' or ');
  return z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `must be a URL that begins with ${wanted}`,
    );
}

const retention = (what: string, byDefault: string, schema: z.ZodType<number, unknown> = durationSchema) =>
  variable({ schema, readBy: ['sweeper'], what, example: byDefault, byDefault });

/** An address, or a network such as `10.0.0.0/8`. */
function isNetwork(text: string): boolean {
  const [address = '', prefix = '0', ...rest] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
}

const everybody = [...services, 'cli'] as const;

export const connectionVariables = {
  REDIS_URL: variable({
    schema: urlOf(redisProtocols),
    readBy: everybody,
    what: 'Where Redis or Valkey is: a server, a cluster or sentinels, each also over TLS ([forms](operations.md#redis-and-postgres)).',
    example: 'redis://:password@127.0.0.1:6379',
    isSecret: true,
  }),
  DATABASE_URL: variable({
    schema: urlOf(['postgres:', 'postgresql:']),
    readBy: ['producer', 'sweeper', 'cli'],
    what: 'Where Postgres is, and the [role](database.md#roles) to use there. The worker knows no Postgres.',
    example: 'postgres://pushfleet_producer:password@127.0.0.1:5432/pushfleet',
    isSecret: true,
  }),
} as const;

export const commonVariables = {
  PUSHFLEET_REDIS_PREFIX: variable({
    schema: z.string().regex(/^[^{}:\s]+$/, 'must not contain braces, colons or spaces'),
    readBy: everybody,
    what: 'What every key in Redis begins with: fleets that share a Redis differ in it.',
    example: 'pushfleet',
    byDefault: 'pushfleet',
  }),
  PUSHFLEET_CONFIG: variable({
    schema: z.string().min(1),
    readBy: everybody,
    what: 'The file that names the [apps](#pushfleetyaml); a path relative to where the process was started.',
    example: '/etc/pushfleet/pushfleet.yaml',
    byDefault: 'pushfleet.yaml',
  }),
  PUSHFLEET_LOG_LEVEL: variable({
    schema: z.enum(logLevels),
    readBy: services,
    what: 'Least severe level that is logged: `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`.',
    example: 'info',
    byDefault: 'info',
  }),
  PUSHFLEET_HOST: variable({
    schema: z.string().min(1),
    readBy: ['producer'],
    what: 'Address that the HTTP API listens at. Beyond loopback, `PUSHFLEET_AUTH` has to be set. The image sets `0.0.0.0`.',
    example: '0.0.0.0',
    byDefault: '127.0.0.1',
  }),
  PUSHFLEET_PORT: variable({
    schema: portText,
    readBy: ['producer'],
    what: 'Port of the HTTP API; 0: a free one, which the ready line names.',
    example: '8080',
    byDefault: '8080',
  }),
  PUSHFLEET_ADMIN_HOST: variable({
    schema: z.string().min(1),
    readBy: services,
    what: 'Address that metrics, health and the board listen at. The image sets `0.0.0.0`.',
    example: '0.0.0.0',
    byDefault: '127.0.0.1',
  }),
  PUSHFLEET_ADMIN_PORT: variable({
    schema: portText.optional(),
    readBy: services,
    what: 'Port of `/metrics`, `/livez`, `/readyz` and `/board`; 0: a free one. By default 9100 of the producer, 9101 of the worker, 9102 of the sweeper.',
    example: '9100',
  }),
  PUSHFLEET_DRAIN_TIMEOUT: variable({
    schema: durationSchema,
    readBy: services,
    what: 'How long a stop may take to finish what is under way; what is left goes back to the queue. Whatever stops the service has to wait 10 s longer.',
    example: '25s',
    byDefault: '25s',
  }),
  PUSHFLEET_LOCK_DURATION: variable({
    schema: durationSchema.refine(
      (ms) => ms >= 1_000,
      'must be at least 1s: a lock is renewed three times in its life',
    ),
    readBy: ['worker'],
    what: "How long a push job stays a worker's without a sign of life: what a crash holds up.",
    example: '15s',
    byDefault: '15s',
  }),
  PUSHFLEET_CONNECTIONS: variable({
    schema: z.coerce.number().int().min(0).max(100_000),
    readBy: ['worker'],
    what: 'Connections of one worker to gateways, at most, of all apps together and beyond the first of each app and lane: [rates at a distance](operations.md#rates-at-a-distance).',
    example: '512',
    byDefault: '512',
  }),
} as const;

export const producerVariables = {
  PUSHFLEET_AUTH: variable({
    schema: z.enum(['keys', 'off'], { error: 'must be keys or off' }).optional(),
    readBy: ['producer'],
    what: 'Whether the HTTP API needs [keys](http-api.md#keys): `keys` or `off`. At a loopback address `off` by default; at any other it has to be set.',
    example: 'keys',
  }),
  PUSHFLEET_HOSTS: variable({
    schema: z
      .string()
      .regex(/^[\w.:[\]-]+(,[\w.:[\]-]+)*$/, 'must be names of hosts, parted by commas')
      .transform((text) => text.toLowerCase().split(','))
      .optional(),
    readBy: ['producer'],
    what: 'Where keys are off: the hosts, without ports, that requests may be for, beside those of loopback. At a loopback address none by default, at any other every one.',
    example: 'producer,push.internal',
  }),
  PUSHFLEET_TRUSTED_PROXIES: variable({
    schema: z
      .string()
      .transform((text) => text.split(','))
      .refine((all) => all.every(isNetwork), 'must be IP addresses or networks, parted by commas')
      .optional(),
    readBy: ['producer'],
    what: 'Proxies in front of the HTTP API, whose `x-forwarded-for` is believed: the [audit log](operations.md#audit-log) then names the address before them.',
    example: '10.0.0.0/8,127.0.0.1',
  }),
  PUSHFLEET_NOTIFICATION_RATE_LIMIT: variable({
    schema: z
      .string()
      .regex(/^\d{1,9}$/, 'must be a number of notifications a second, or 0 for no limit')
      .transform(Number),
    readBy: ['producer'],
    what: 'Notifications a second that a key may send at one producer, broadcasts apart; 0: any number.',
    example: '5000',
    byDefault: '0',
  }),
  PUSHFLEET_RATE_LIMIT: variable({
    schema: z
      .string()
      .regex(/^\d{1,9}$/, 'must be a number of requests a second, or 0 for no limit')
      .transform(Number),
    readBy: ['producer'],
    what: 'Requests a second that a key may make at one producer, unless the key says otherwise; 0: any number.',
    example: '100',
    byDefault: '0',
  }),
  PUSHFLEET_WEBHOOKS_PRIVATE: variable({
    schema: z
      .enum(['allow', 'refuse'], { error: 'must be allow or refuse' })
      .transform((value) => value === 'allow'),
    readBy: ['producer'],
    what: 'Whether webhooks may go to private addresses and to `http://`: `allow` or `refuse`.',
    example: 'refuse',
    byDefault: 'refuse',
  }),
  PUSHFLEET_BOARD_KEY: variable({
    schema: z.string().min(16, 'must be at least 16 characters long').optional(),
    readBy: ['producer'],
    what: 'Password of the [board of queues](operations.md#the-board-of-queues); without it there is none.',
    example: 'sixteen characters or more',
    isSecret: true,
  }),
} as const;

export const retentionVariables = {
  PUSHFLEET_RETENTION_BATCHES: retention(
    'How long batches, exceptions and broadcasts are kept, from the enqueueing.',
    '90d',
    durationSchema.refine(
      (ms) => ms >= 35 * 86_400_000,
      'must be at least 35d: sends are scheduled for up to 30 days',
    ),
  ),
  PUSHFLEET_RETENTION_FEEDBACK: retention('How long tuples and readings of feedback are kept.', '90d'),
  PUSHFLEET_RETENTION_CHANGES: retention('How long the history of devices is kept.', '400d'),
  PUSHFLEET_RETENTION_EVENTS: retention('How long events, and deliveries to webhooks, are kept.', '30d'),
  PUSHFLEET_RETENTION_INACTIVE_DEVICES: retention('How long inactive devices are kept.', '400d'),
  PUSHFLEET_RETENTION_AUDIT: retention('How long lines of the audit log are kept.', '400d'),
} as const;

export const clientVariables = {
  PUSHFLEET_URL: variable({
    schema: urlOf(['http:', 'https:']),
    readBy: ['cli'],
    what: 'Where the HTTP API is.',
    example: 'http://127.0.0.1:8080',
    byDefault: 'http://127.0.0.1:8080',
  }),
  PUSHFLEET_KEY: variable({
    schema: z.string().optional(),
    readBy: ['cli'],
    what: 'A key of the HTTP API, where it asks for one.',
    example: 'the text that `pushfleet keys create` printed',
    isSecret: true,
  }),
} as const;

const imageVariables = {
  PUSHFLEET_BUILD_COMMIT: variable({
    schema: z.string().optional(),
    readBy: everybody,
    what: 'The commit that an image was built from; its build sets it (`--build-arg REVISION=…`), people do not.',
    example: '1f0c…',
  }),
} as const;

/** All of them, in the order of docs/settings.md. */
export const variables = {
  ...connectionVariables,
  ...commonVariables,
  ...producerVariables,
  ...retentionVariables,
  ...clientVariables,
  ...imageVariables,
  ...composeVariables,
  ...developmentVariables,
} as const;
