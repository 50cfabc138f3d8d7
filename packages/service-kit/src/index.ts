export { adminPorts, type ServiceName } from './admin-ports.ts';
export * from './admin-server.ts';
export * from './backoff.ts';
export { type BuildInfo, readBuildInfo } from './build-info.ts';
export { bytesSchema } from './bytes.ts';
export { type AppConfig, appIdSchema, appSchema, type CredentialConfig } from './config.ts';
export * from './config-error.ts';
export { createRegister } from './create-register.ts';
export { durationSchema } from './duration.ts';
export {
  type EnvironmentConfig,
  readEnvironment,
} from './environment.ts';
export { type Endpoint, type FleetApp, resolveApp } from './fleet-app.ts';
export { readFleetFile } from './fleet-file.ts';
export { foreignRequest, isLoopback, type OwnHosts } from './foreign-requests.ts';
export { listenAt } from './listen.ts';
export * from './load-config.ts';
export { type LogLevel, logLevels } from './log/log-level.ts';
export { createLogger, type Logger, type LoggerOptions } from './log/logger.ts';
export { nearestName } from './nearest-name.ts';
export { ReachLog } from './reach-log.ts';
export { createAuthoritiesReader, readAuthorities } from './read-authorities.ts';
export { readProxy } from './read-proxy.ts';
export * from './resource-stack.ts';
export * from './run-service.ts';
export * from './service-error.ts';
export { type AppSetting, appSettings, strayDescriptions } from './settings/app-settings.ts';
export { readSecret, readSecretVariable, readVariables } from './settings/read-variables.ts';
export { unknownVariables } from './settings/unknown-variables.ts';
export type { Variable, VariableReader } from './settings/variable.ts';
export {
  clientVariables,
  connectionVariables,
  producerVariables,
  retentionVariables,
  variables,
} from './settings/variables.ts';
export * from './tracing/trace-context.ts';
export { readTracingEnvironment, type TracingConfig } from './tracing/tracing-environment.ts';
export { trustSystemAuthorities } from './trust-system-authorities.ts';
