import {
  ConfigError,
  isLoopback,
  type OwnHosts,
  producerVariables,
  readVariables,
} from '@pushfleet/service-kit';

/** What the environment says of the producer alone. */
export interface ProducerEnvironment {
  /** Whether requests need a key. */
  readonly auth: 'keys' | 'off';
  /** Requests a second that a key may make at this producer, unless it says otherwise; 0: any number. */
  readonly ratePerSecond: number;
  /** Notifications a second that a key may send at this producer; 0: any number. */
  readonly notificationsPerSecond: number;
  /** Whether webhooks may go to private addresses. */
  readonly allowPrivateWebhooks: boolean;
  /** Where keys are off: the hosts that requests may be for, beside those of loopback; undefined: any. */
  readonly hosts: OwnHosts;
  /** Addresses and networks of proxies that are believed who they speak for. */
  readonly trustedProxies: readonly string[];
}

/** The board's key is read by itself: it may be in a file. */
const { PUSHFLEET_BOARD_KEY: _, ...settings } = producerVariables;

/**
 * Reads the environment.
 * @param host Where the producer will listen: beyond this machine, that keys are off has to be said.
 * @throws ConfigError
 */
export function readProducerEnvironment(env: NodeJS.ProcessEnv, host: string): ProducerEnvironment {
  const read = readVariables(env, settings);
  const problems = [...read.problems];
  if (!isLoopback(host) && (env.PUSHFLEET_AUTH ?? '') === '') {
    const message =
      `must be set, since the API will listen at ${host}, which others can reach: keys, with keys made by ` +
      '`pushfleet keys create`; or off, when something in front of it keeps others out';
    problems.push({ field: 'PUSHFLEET_AUTH', message });
  }
  if (problems.length > 0 || read.values === undefined) throw new ConfigError(problems);
  const {
    PUSHFLEET_AUTH = 'off',
    PUSHFLEET_HOSTS,
    PUSHFLEET_NOTIFICATION_RATE_LIMIT,
    PUSHFLEET_RATE_LIMIT,
    PUSHFLEET_WEBHOOKS_PRIVATE,
  } = read.values;
  return {
    auth: PUSHFLEET_AUTH,
    ratePerSecond: PUSHFLEET_RATE_LIMIT,
    notificationsPerSecond: PUSHFLEET_NOTIFICATION_RATE_LIMIT,
    allowPrivateWebhooks: PUSHFLEET_WEBHOOKS_PRIVATE,
    trustedProxies: read.values.PUSHFLEET_TRUSTED_PROXIES ?? [],
    hosts: PUSHFLEET_HOSTS ?? (isLoopback(host) ? [] : undefined),
  };
}
