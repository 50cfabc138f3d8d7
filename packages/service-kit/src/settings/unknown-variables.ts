import type { ConfigProblem } from '../config-error.ts';
import { nearestName } from '../nearest-name.ts';
import type { Variable } from './variable.ts';
import { variables } from './variables.ts';

/** Of every variable that anything of Pushfleet's reads, those of files included. */
const variableNames: ReadonlySet<string> = new Set(
  Object.entries(variables as Readonly<Record<string, Variable>>).flatMap(([name, { isSecret }]) =>
    isSecret === true ? [name, `${name}_FILE`] : [name],
  ),
);

/**
 * What Kubernetes sets for every Service of a namespace, in every pod of it: `PUSHFLEET_PRODUCER_SERVICE_HOST` and the
 * like, for a Service named `pushfleet-producer`.
 */
const serviceLink = /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/;

/**
 * The variables that begin like ours and are none: a spelling error there is a setting that nobody obeys.
 * @param others Names that are somebody's own, such as those that pushfleet.yaml names as `passphraseEnv`.
 */
export function unknownVariables(
  env: NodeJS.ProcessEnv,
  others: ReadonlySet<string> = new Set(),
): ConfigProblem[] {
  return Object.entries(env)
    .filter(([name]) => name.startsWith('PUSHFLEET_') && !variableNames.has(name) && !others.has(name))
    .filter(([name, value = '']) => !serviceLink.test(name) && !/^(?:tcp|udp|sctp):\/\//.test(value))
    .map(([field]) => {
      const near = nearestName(
        field,
        [...variableNames].filter((name) => name.startsWith('PUSHFLEET_')),
      );
      const advice = near === undefined ? 'docs/settings.md lists them all' : `did you mean ${near}?`;
      return { field, message: `is not a variable of Pushfleet: ${advice}` };
    });
}
