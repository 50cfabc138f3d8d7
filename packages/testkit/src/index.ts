import './vitest/provided.ts';

export * from './services/postgres.ts';
export * from './services/redis.ts';
export { openRedisProgram, type RedisProgramOptions } from './services/redis-program.ts';
export type { RestartableServer } from './services/restartable-server.ts';
export * from './services/service-source.ts';
