import type { Cluster, Redis } from 'ioredis';

/**
 * Lets a client outlive every error of its connections. A TLS connection can have more than one: a write fails, and an
 * alert that the server had sent before, such as for want of a certificate, is read after that. ioredis listens for
 * the first one alone, and Node.js would end the process with the second.
 */
export function outliveLateErrors<Client extends Redis | Cluster>(client: Client): Client {
  const each = client as Redis | Cluster;
  if (each.isCluster) each.on('+node', (node: Redis) => outliveLateErrors(node));
  else each.on('connect', () => (each as Redis).stream.on('error', () => undefined));
  return client;
}
