import {
  type Credential,
  type CredentialLocation,
  createRedisTokenStore,
  ProviderTokenSource,
  signProviderToken,
  watchCredential,
} from '@pushfleet/apns-credentials';
import { ConfigError, readEnvironment } from '@pushfleet/service-kit';
import { openRedis } from '../../fleet/open-redis.ts';

export interface CheckToken {
  readonly jwt: string;
  /** Whether it is the one that workers send with. */
  readonly isOfFleet: boolean;
}

/**
 * A provider token to check with. Apple takes one new token of a key in 20 minutes: where `REDIS_URL` names the fleet's
 * Redis it is the token of the fleet, which is made there if there is none, so that workers go on with it.
 * @throws ConfigError; CredentialError; CliError `redis-unavailable`
 */
export async function providerToken(
  { key, keyId, teamId }: Extract<Credential, { kind: 'token' }>,
  location: CredentialLocation,
  env: NodeJS.ProcessEnv,
): Promise<CheckToken> {
  if ((env.REDIS_URL ?? env.REDIS_URL_FILE ?? '') === '') {
    const jwt = await signProviderToken({ key, keyId, teamId, issuedAtMs: Date.now() });
    return { jwt, isOfFleet: false };
  }
  const { config, problems } = await readEnvironment(env, { service: 'worker' });
  if (config === undefined) throw new ConfigError(problems);
  const redis = await openRedis(config.redisUrl);
  const credential = await watchCredential(location, { environment: env });
  const tokens = new ProviderTokenSource({
    credential,
    store: createRedisTokenStore(redis, config.redisPrefix),
  });
  try {
    await tokens.refresh();
    return { jwt: tokens.current()!, isOfFleet: true };
  } finally {
    tokens.close();
    credential.close();
    redis.disconnect();
  }
}
