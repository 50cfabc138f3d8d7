import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { redisProtocols } from '../settings.ts';
import { outliveLateErrors } from './late-errors.ts';
import { redisTroubleOf } from './trouble.ts';

// The one place where a URL becomes a connection to Redis. What it may say:
//
//   redis://user:password@host:6379/0                      one server
//   redis+cluster://host1:7000?nodes=host2:7001,host3      a cluster; any of its nodes, the client finds the others
//   redis+sentinel://host1:26379/name?nodes=host2:26379    sentinels, and the name of what they watch over
//
// `rediss`, `rediss+cluster` and `rediss+sentinel` are the same over TLS, with the system's authorities, or `ca=/path`
// of a PEM file; `cert=` and `key=` for a certificate of our own; `servername=` where the name differs from the host.
// Sentinels take `sentinelUsername=` and `sentinelPassword=`.

const parameters = [
  'nodes',
  'ca',
  'cert',
  'key',
  'servername',
  'sentinelUsername',
  'sentinelPassword',
] as const;

/** How the client behaves; what it connects to is the URL's business. */
export interface RedisClientOptions extends SocketOptions {
  /** Of a cluster: whether commands follow keys that moved to another node; true by default. */
  readonly followsMoves?: boolean;
}

type SocketOptions = Pick<
  RedisOptions,
  | 'autoResendUnfulfilledCommands'
  | 'commandTimeout'
  | 'connectionName'
  | 'connectTimeout'
  | 'disconnectTimeout'
  | 'enableOfflineQueue'
  | 'keepAlive'
  | 'lazyConnect'
  | 'autoResubscribe'
  | 'reconnectOnError'
  | 'maxRetriesPerRequest'
  | 'retryStrategy'
>;

/** A URL says something that it may not say; the message never holds the URL, which may hold a password. */
export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError';
}

/** What a URL says, without its files having been read. */
interface RedisLocation {
  readonly kind: 'server' | 'cluster' | 'sentinel';
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Of the sentinels' group. */
  readonly name: string;
  readonly db: number;
  readonly login: Pick<RedisOptions, 'username' | 'password'>;
  readonly parameters: ReadonlyMap<string, string>;
  readonly isTls: boolean;
}

/** @throws RedisUrlError */
export function parseRedisUrl(text: string): RedisLocation {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !(redisProtocols as readonly string[]).includes(url.protocol)) {
    throw new RedisUrlError(
      `must be a URL that begins with ${redisProtocols.map((name) => `${name}//`).join(' or ')}`,
    );
  }
  const [scheme = '', suffix = 'server'] = url.protocol.slice(0, -1).split('+');
  const kind = suffix as RedisLocation['kind'];
  for (const name of url.searchParams.keys()) {
    if (!(parameters as readonly string[]).includes(name)) {
      throw new RedisUrlError(`has the parameter "${name}": there are ${parameters.join(', ')}`);
    }
  }
  const others = url.searchParams.get('nodes')?.split(',').filter(Boolean) ?? [];
  if (kind === 'server' && others.length > 0) {
    throw new RedisUrlError('names several nodes: begin it with redis+cluster:// or redis+sentinel://');
  }
  const usualPort = kind === 'sentinel' ? 26_379 : 6_379;
  const path = decodeURIComponent(url.pathname.replace(/^\//, ''));
  if (kind === 'sentinel' && path === '') {
    throw new RedisUrlError('must name what the sentinels watch over: redis+sentinel://host:26379/NAME');
  }
  if (kind !== 'sentinel' && !/^\d{0,3}$/.test(path))
    throw new RedisUrlError('has a database that is no number');
  if (kind === 'cluster' && Number(path) !== 0)
    throw new RedisUrlError('names a database: a cluster has only 0');
  return {
    kind,
    nodes: [url.host, ...others].map((node) => parseNode(node, usualPort)),
    name: kind === 'sentinel' ? path : '',
    db: kind === 'server' ? Number(path) : 0,
    login: {
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    },
    parameters: new Map(url.searchParams),
    isTls: scheme === 'rediss',
  };
}

function parseNode(text: string, usualPort: number): { host: string; port: number } {
  const [, address, name, port] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined) throw new RedisUrlError('has a node that is not host:port');
  return { host, port: port === undefined ? usualPort : Number(port) };
}

/**
 * Connects to what a URL names: a server, the one that sentinels point to, or a cluster.
 * @throws RedisUrlError where the URL says something that it may not say, or names a file that cannot be read
 */
export function createRedisClient(text: string, options: RedisClientOptions = {}): Redis | Cluster {
  return outliveLateErrors(connect(text, { reconnectOnError: isOfAnotherRole, ...options }));
}

/** Before the next attempt to connect, milliseconds: full jitter, so that a fleet does not come back in step. @param attempt From 1 */
export function reconnectDelayMs(attempt: number): number {
  return 50 + Math.random() * Math.min(2_000, 100 * 2 ** Math.min(attempt, 10));
}

/**
 * A server that was demoted in place refuses writes on connections that stay open: the address may lead to the new
 * primary by now, and only a new connection finds out.
 */
export function isOfAnotherRole(error: Error): boolean {
  return redisTroubleOf(error) === 'role';
}

function connect(text: string, clientOptions: RedisClientOptions): Redis | Cluster {
  const location = parseRedisUrl(text);
  const { followsMoves, ...options } = clientOptions;
  const tls: { readonly tls?: ConnectionOptions } = location.isTls ? { tls: readTls(location) } : {};
  const [first] = location.nodes;
  switch (location.kind) {
    case 'server':
      return new Redis({ ...options, ...first, ...location.login, db: location.db, ...tls });
    case 'sentinel': {
      const username = location.parameters.get('sentinelUsername');
      const password = location.parameters.get('sentinelPassword');
      return new Redis({
        ...options,
        ...location.login,
        ...tls,
        sentinels: [...location.nodes],
        name: location.name,
        ...(username === undefined ? {} : { sentinelUsername: username }),
        ...(password === undefined ? {} : { sentinelPassword: password }),
        ...(tls.tls === undefined ? {} : { sentinelTLS: tls.tls, enableTLSForSentinelMode: true }),
      });
    }
    case 'cluster':
      return createCluster(location, clientOptions, tls);
    default:
      return location.kind satisfies never;
  }
}

/** How long a cluster may take to tell where its slots are, milliseconds. */
const slotsTimeoutMs = 5_000;

function createCluster(
  { nodes, login }: RedisLocation,
  options: RedisClientOptions,
  tls: { readonly tls?: ConnectionOptions },
): Cluster {
  const { retryStrategy, enableOfflineQueue, lazyConnect, followsMoves, ...redisOptions } = options;
  return new Cluster([...nodes], {
    clusterRetryStrategy: retryStrategy ?? null,
    enableOfflineQueue: enableOfflineQueue ?? true,
    lazyConnect: lazyConnect ?? false,
    slotsRefreshTimeout: slotsTimeoutMs,
    ...(followsMoves === false ? { maxRedirections: 0 } : {}),
    // What a broken connection may have carried is for the caller to decide about, not for the client to send again.
    ...(options.autoResendUnfulfilledCommands === false ? { retryDelayOnFailover: 0 } : {}),
    // Certificates name hosts: what nodes announce is used as it is, and not resolved first.
    ...(tls.tls === undefined ? {} : { dnsLookup: (address, callback) => callback(null, address) }),
    redisOptions: { ...redisOptions, ...login, ...tls },
  });
}

function readTls({ parameters }: RedisLocation): ConnectionOptions {
  const read = (name: 'ca' | 'cert' | 'key') => {
    const path = parameters.get(name);
    if (path === undefined) return {};
    try {
      return { [name]: readFileSync(path) };
    } catch (cause) {
      throw new RedisUrlError(`names a file as ${name} that cannot be read: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  const servername = parameters.get('servername');
  return {
    ...read('ca'),
    ...read('cert'),
    ...read('key'),
    ...(servername === undefined ? {} : { servername }),
  };
}
