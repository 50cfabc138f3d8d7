import { ServiceError, type ServiceKitErrorCode } from './service-error.ts';

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** The variable, or the path in the file, such as `apps.shop-prod.gateway.port`. */
  readonly field: string;
  /** What is wrong with it, without its value where that may be a secret. */
  readonly message: string;
}

/** Everything that is wrong with the environment and the configuration file, at once. */
export class ConfigError extends ServiceError<Extract<ServiceKitErrorCode, 'config-invalid'>> {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ field, message }) => `  ${field}: ${message}`);
    const title =
      problems.length === 1
        ? 'There is a problem with the configuration:'
        : `There are ${problems.length} problems with the configuration:`;
    super('config-invalid', [title, ...lines].join('\n'));
    this.problems = problems;
  }
}
