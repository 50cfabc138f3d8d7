// What the settings of services and the push queue have to agree about. No imports: service-kit reads nothing else here.

/** An app id is part of Redis keys and metric labels. */
export const appIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The protocols of Redis URLs, each with its colon: a server, a cluster, sentinels, each also over TLS. */
export const redisProtocols = [
  'redis:',
  'rediss:',
  'redis+cluster:',
  'rediss+cluster:',
  'redis+sentinel:',
  'rediss+sentinel:',
] as const;
