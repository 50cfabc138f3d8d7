import './vitest/provided.ts';

export * from './processes/start-process.ts';
export {
  type OutputLine,
  ProcessError,
  type ProcessExit,
  SupervisedProcess,
} from './processes/supervised-process.ts';
export * from './services/postgres.ts';
export * from './services/redis.ts';
export { findRedisProgram, openRedisProgram, type RedisProgramOptions } from './services/redis-program.ts';
export type { RestartableServer } from './services/restartable-server.ts';
export * from './services/service-source.ts';
export * from './simulator/simulator-control.ts';
export * from './simulator/start-simulator.ts';
