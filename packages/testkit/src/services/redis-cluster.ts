import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { findFreePort } from './free-port.ts';
import { openRedisProgram } from './redis-program.ts';
import { type RestartableServer, serverStartTimeoutMs } from './restartable-server.ts';

export interface RedisClusterOptions {
  /** Nodes that hold slots, in equal parts. */
  readonly primaries: number;
  /** The primary that holds this key gets a replica. */
  readonly replicaFor: string;
}

export interface RedisCluster {
  /** As `REDIS_URL` takes it. */
  readonly url: string;
  /** Kills the primary that has the replica, without warning; resolves when the replica has taken over. */
  failOver(): Promise<void>;
  /** Moves the slot of a key to another primary while it is used. */
  moveSlot(key: string): Promise<void>;
  stop(): Promise<void>;
}

interface Node {
  readonly server: RestartableServer;
  readonly port: number;
  readonly client: Redis;
}

const slots = 16_384;
/** How soon a node that does not answer is held to be dead: short, since a test waits for it. */
const nodeTimeoutMs = 1_000;

/** Starts a Redis Cluster of `redis-server` processes on free ports of 127.0.0.1. */
export async function openRedisCluster(program: string, options: RedisClusterOptions): Promise<RedisCluster> {
  const password = randomBytes(18).toString('base64url');
  const nodes: Node[] = [];
  const stop = async (): Promise<void> => {
    for (const { client, server } of nodes.splice(0)) {
      client.disconnect();
      await server.stop();
    }
  };
  try {
    for (let count = options.primaries + 1; count > 0; count -= 1) {
      nodes.push(await openNode(program, password));
    }
    await joinNodes(nodes, options);
  } catch (error) {
    await stop();
    throw error;
  }
  const [first, ...others] = nodes.map(({ port }) => `127.0.0.1:${port}`);
  return {
    url: `redis+cluster://:${password}@${first}?nodes=${others.join(',')}`,
    async failOver() {
      const slot = await nodes[0]!.client.cluster('KEYSLOT', options.replicaFor);
      const dead = await findPrimary(nodes, slot);
      const left = nodes.filter((node) => node !== dead);
      await dead.server.kill();
      dead.client.disconnect();
      await until(async () => {
        const primary = await findPrimary(left, slot).catch(() => undefined);
        return primary !== undefined && (await isComplete(left));
      });
    },
    async moveSlot(key) {
      const slot = await nodes[0]!.client.cluster('KEYSLOT', key);
      const from = await findPrimary(nodes, slot);
      const ids = new Map<Node, string>();
      for (const node of nodes) ids.set(node, (await node.client.cluster('MYID')) as string);
      const to = nodes.slice(0, options.primaries).find((node) => node !== from)!;
      const set = (node: Node, state: 'IMPORTING' | 'MIGRATING' | 'NODE', id: string) =>
        node.client.call('CLUSTER', 'SETSLOT', String(slot), state, id);
      await set(to, 'IMPORTING', ids.get(from)!);
      await set(from, 'MIGRATING', ids.get(to)!);
      for (;;) {
        const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '10')) as string[];
        if (keys.length === 0) break;
        const auth = ['AUTH', password, 'KEYS', ...keys];
        await from.client.call('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', ...auth);
      }
      await set(to, 'NODE', ids.get(to)!);
      await set(from, 'NODE', ids.get(to)!);
    },
    stop,
  };
}

async function openNode(program: string, password: string): Promise<Node> {
  const server = await openRedisProgram(program, {
    aof: true,
    configuration: [
      'cluster-enabled yes',
      `cluster-node-timeout ${nodeTimeoutMs}`,
      // By default it is the port plus 10,000, which may be none.
      `cluster-port ${await findFreePort()}`,
      // One for all nodes, over the one that each would have to itself.
      `requirepass ${password}`,
      `masterauth ${password}`,
    ],
  });
  const port = Number(new URL(server.url).port);
  const client = new Redis({ host: '127.0.0.1', port, password, retryStrategy: () => null });
  client.on('error', () => undefined);
  return { server, port, client };
}

async function joinNodes(
  nodes: readonly Node[],
  { primaries, replicaFor }: RedisClusterOptions,
): Promise<void> {
  const [first, ...others] = nodes;
  const busPort = async ({ client }: Node) => Number((await client.config('GET', 'cluster-port'))[1]);
  for (const [place, { client }] of nodes.slice(0, primaries).entries()) {
    const from = Math.floor((place * slots) / primaries);
    const to = Math.floor(((place + 1) * slots) / primaries) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(place + 1));
  }
  for (const node of others) {
    await first!.client.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port), String(await busPort(node)));
  }
  const ids = await Promise.all(nodes.map(async ({ client }) => (await client.cluster('MYID')) as string));
  await until(async () => {
    const views = await Promise.all(
      nodes.map(async ({ client }) => (await client.cluster('NODES')) as string),
    );
    return views.every((view) => ids.every((id) => view.includes(id)));
  });
  const replica = nodes[primaries]!;
  const slot = await first!.client.cluster('KEYSLOT', replicaFor);
  await until(() => isComplete(nodes));
  await replica.client.cluster('REPLICATE', ids[nodes.indexOf(await findPrimary(nodes, slot))]!);
  await until(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
}

async function isComplete(nodes: readonly Node[]): Promise<boolean> {
  const states = await Promise.all(nodes.map(async ({ client }) => (await client.cluster('INFO')) as string));
  return states.every((state) => state.includes('cluster_state:ok'));
}

async function findPrimary(nodes: readonly Node[], slot: number): Promise<Node> {
  const ranges = (await nodes[0]!.client.cluster('SLOTS')) as unknown as [number, number, [string, number]][];
  const range = ranges.find(([from, to]) => from <= slot && slot <= to);
  const node = nodes.find(({ port }) => port === range?.[2][1]);
  if (node === undefined) throw new Error(`no node holds slot ${slot}`);
  return node;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + serverStartTimeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the Redis Cluster is not complete in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
