import { ConfigError, type ConfigProblem } from '@pushfleet/service-kit';
import { z } from 'zod';

/** What the environment says of the producer alone. */
export interface ProducerEnvironment {
  /** Whether requests need a key. */
  readonly auth: 'keys' | 'off';
  /** Requests a second that a key may make at this producer, unless it says otherwise; 0: any number. */
  readonly ratePerSecond: number;
  /** Whether webhooks may go to private addresses. */
  readonly allowPrivateWebhooks: boolean;
}

const schema = z.object({
  PUSHFLEET_AUTH: z.enum(['keys', 'off'], { error: 'must be keys or off' }).optional(),
  PUSHFLEET_RATE_LIMIT: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a number of requests a second, or 0 for no limit')
    .transform(Number)
    .default(0),
  PUSHFLEET_WEBHOOKS_PRIVATE: z
    .enum(['allow', 'refuse'], { error: 'must be allow or refuse' })
    .default('refuse')
    .transform((value) => value === 'allow'),
});

const loopback = /^(127\.|localhost$|::1$|\[::1\]$)/;

/**
 * Reads the environment.
 * @param host Where the producer will listen: beyond this machine, that keys are off has to be said.
 * @throws ConfigError
 */
export function readProducerEnvironment(env: NodeJS.ProcessEnv, host: string): ProducerEnvironment {
  const parsed = schema.safeParse(env);
  const problems: ConfigProblem[] = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }));
  if (!loopback.test(host) && (env.PUSHFLEET_AUTH ?? '') === '') {
    const message =
      `must be set, since the API will listen at ${host}, which others can reach: keys, with keys made by ` +
      '`pushfleet keys create`; or off, when something in front of it keeps others out';
    problems.push({ field: 'PUSHFLEET_AUTH', message });
  }
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  const { PUSHFLEET_AUTH = 'off', PUSHFLEET_RATE_LIMIT, PUSHFLEET_WEBHOOKS_PRIVATE } = parsed.data;
  return {
    auth: PUSHFLEET_AUTH,
    ratePerSecond: PUSHFLEET_RATE_LIMIT,
    allowPrivateWebhooks: PUSHFLEET_WEBHOOKS_PRIVATE,
  };
}
