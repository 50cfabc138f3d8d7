import {
  appleChannelEndpoints,
  type ChannelClient,
  ChannelError,
  createChannelClient,
  type Http2Authentication,
} from '@pushfleet/apns-client';
import {
  createRedisTokenStore,
  locateCredential,
  ProviderTokenSource,
  type WatchedCredential,
  watchCredential,
} from '@pushfleet/apns-credentials';
import {
  ConfigError,
  createResourceStack,
  type FleetApp,
  type ResourceStack,
  readAuthorities,
  readEnvironment,
  readProxy,
  trustSystemAuthorities,
} from '@pushfleet/service-kit';
import { CliError } from '../cli-error.ts';
import { explainReason } from '../credentials/check/explain-reason.ts';
import { findApp } from '../fleet/find-app.ts';
import { openRedis } from '../fleet/open-redis.ts';

export interface ChannelsOptions {
  readonly app: string;
  readonly config?: string;
}

/**
 * Opens what calls about an app's channels need, and closes it.
 * @throws ConfigError; CredentialError; CliError `app-unknown`, `usage`, `redis-unavailable`, `channel-…`
 */
export async function withChannels<T>(
  { app: id, config }: ChannelsOptions,
  env: NodeJS.ProcessEnv,
  work: (channels: ChannelClient) => Promise<T>,
): Promise<T> {
  const app = await findApp(id, config, env);
  if (app.transport !== 'http2') {
    throw new CliError('usage', `apps.${id}.transport is ${app.transport}: channels are for http2 only`);
  }
  trustSystemAuthorities();
  const resources = createResourceStack();
  try {
    const credential = await watchCredential(locateCredential(app.credential), { environment: env });
    resources.add('credential', () => credential.close());
    const channels = createChannelClient({
      ...endpointsOf(app),
      topic: app.topic,
      authentication: await authenticate(credential, env, resources),
      ...(app.gateway.ca === undefined ? {} : { ca: readAuthorities(app.gateway.ca) }),
      ...(app.proxy === undefined ? {} : { proxy: readProxy(app.proxy) }),
    });
    resources.add('channels', () => channels.close());
    return await work(channels);
  } catch (error) {
    throw error instanceof ChannelError ? explainChannelError(error) : error;
  } finally {
    await resources.release();
  }
}

/** Apple manages channels at hosts of their own; any other gateway does so itself. */
function endpointsOf({ gateway, environment }: FleetApp) {
  const apple = appleChannelEndpoints[environment];
  return gateway.host === apple.send.host ? apple : { manage: gateway, send: gateway };
}

/** With a provider key: the token of the fleet. One more of our own, and the gateway calls them too many. */
async function authenticate(
  credential: WatchedCredential,
  env: NodeJS.ProcessEnv,
  resources: ResourceStack,
): Promise<Http2Authentication> {
  if (credential.current().kind === 'certificate') return { kind: 'certificate', credential: credential.tls };
  const { config, problems } = await readEnvironment(env, { service: 'worker' });
  if (config === undefined) throw new ConfigError(problems);
  const redis = await openRedis(config.redisUrl);
  resources.add('redis', () => redis.disconnect());
  const tokens = new ProviderTokenSource({
    credential,
    store: createRedisTokenStore(redis, config.redisPrefix),
  });
  resources.add('provider token', () => tokens.close());
  return { kind: 'token', tokens };
}

/** What the gateway's reasons say about a channel, and what to do. */
const explanations: Readonly<Record<string, string>> = {
  CannotCreateChannelConfig: 'an app may have 10,000 channels in each environment: delete some',
  ChannelNotRegistered:
    'the app has no such channel in this environment: channels list shows those that it has',
  FeatureNotEnabled:
    "the app is not allowed to broadcast: switch it on in the developer portal, at the app's id",
  TopicMismatch: "the credential is not for this app's topic",
};

/** Says what to do about a call that failed. */
function explainChannelError(error: ChannelError): CliError {
  const { code, reason = '', message } = error;
  const advice =
    code === 'unreachable' || code === 'timeout'
      ? 'whether it was done is not known: channels list tells'
      : (explanations[reason] ?? explainReason(reason));
  const text = advice === undefined ? message : `${message}: ${advice}`;
  return new CliError(`channel-${code}`, text, { cause: error });
}
