import './vitest/provided.ts';

export * from './delay-line/start-delay-line.ts';
export { FaultProxy, type FaultProxyOptions, openFaultProxy } from './fault-proxy/fault-proxy.ts';
export type { ProxyConnection } from './fault-proxy/proxy-connection.ts';
export type { CutMode, Direction, Toxic } from './fault-proxy/toxics.ts';
export * from './fleet/start-service.ts';
export * from './generators.ts';
export { type MemoryGroup, openMemoryGroup } from './processes/memory-group.ts';
export * from './processes/start-process.ts';
export {
  type OutputLine,
  ProcessError,
  type ProcessExit,
  SupervisedProcess,
} from './processes/supervised-process.ts';
export { findFreePort } from './services/free-port.ts';
export { findNghttpd, type Nghttpd, openNghttpd } from './services/nghttpd.ts';
export * from './services/postgres.ts';
export { findPostgres } from './services/postgres-binaries.ts';
export { openPostgresProgram, type PostgresProgramOptions } from './services/postgres-program.ts';
export { createPrivateFolder, type PrivateFolder } from './services/private-folder.ts';
export * from './services/redis.ts';
export { openRedisCluster, type RedisCluster, type RedisClusterOptions } from './services/redis-cluster.ts';
export { findRedisProgram, openRedisProgram, type RedisProgramOptions } from './services/redis-program.ts';
export {
  openWatchedRedis,
  type WatchedRedis,
  type WatchedRedisOptions,
} from './services/redis-sentinel.ts';
export { openTlsRedis, type TlsRedis, tlsRedisClient } from './services/redis-tls.ts';
export type { RestartableServer } from './services/restartable-server.ts';
export * from './services/service-source.ts';
export * from './simulator/simulator-control.ts';
export * from './simulator/start-simulator.ts';
export type { ReceivedSpan } from './traces/otlp-spans.ts';
export * from './traces/trace-collector.ts';
