import { parseArgs } from 'node:util';

export interface AlertsArguments {
  /** Names of alerts; empty: all of them. */
  readonly only: readonly string[];
  /** Print one JSON object as the last line of standard output. */
  readonly json: boolean;
}

export const usage = `usage: npm run alerts -- [flags]

Runs a fleet on this machine with the simulator as its gateway, and a Prometheus with the rules of ops/prometheus/rules,
in which a minute is a second. Brings about what each alert is there for, sees it fire, does what docs/runbook.md says,
and sees it resolve. Needs \`prometheus\` and \`redis-server\` on the PATH.

  --only NAME   only this alert, such as PushfleetAppPaused; may be repeated
  --json        one JSON object as the last line of standard output
  --help`;

/** @throws Error that names the flag */
export function parseAlertsArguments(args: readonly string[]): AlertsArguments | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return { only: values.only, json: values.json };
}
