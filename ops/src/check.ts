import { join } from 'node:path';
import { checkWithDocker, composeProblems, readCompose } from './checks/check-compose.ts';
import { checkManifests, checkRendered } from './checks/check-kubernetes.ts';
import { checkWithPromtool } from './checks/check-prometheus.ts';
import { checkRules } from './checks/check-rules.ts';
import { findDrift } from './dashboards/dashboard-files.ts';
import { repositoryRoot } from './repository.ts';

// What runs the fleet, checked: compose file, rules, dashboards, Kubernetes manifests. Tools that are not on this
// machine are left out, and said so; what can be told without them is checked everywhere.

interface Check {
  readonly name: string;
  /** Problems; empty: none; undefined: cannot be checked here. */
  run(): Promise<readonly string[] | undefined>;
  /** Said when it cannot be checked. */
  readonly needs?: string;
}

const checks: readonly Check[] = [
  { name: 'compose file', run: async () => composeProblems(await readCompose()) },
  { name: 'compose file, by docker compose', run: checkWithDocker, needs: 'docker compose' },
  { name: 'rules and dashboards: syntax, metrics, runbook', run: checkRules },
  { name: 'rules, by promtool, with their tests', run: checkWithPromtool, needs: 'promtool' },
  {
    name: 'dashboards are what the code makes (npm run dashboards)',
    run: async () => findDrift(join(repositoryRoot, 'ops/grafana/dashboards')),
  },
  { name: 'Kubernetes manifests against schemas', run: checkManifests },
  { name: 'Kubernetes manifests, rendered by Kustomize', run: checkRendered, needs: 'kubectl' },
];

let failed = false;
for (const { name, run, needs } of checks) {
  const problems = await run();
  if (problems === undefined) {
    process.stdout.write(`skipped  ${name}: there is no ${needs} here\n`);
    continue;
  }
  failed ||= problems.length > 0;
  process.stdout.write(`${problems.length === 0 ? 'ok     ' : 'FAILED '}  ${name}\n`);
  for (const problem of problems) process.stdout.write(`         ${problem}\n`);
}
process.exitCode = failed ? 1 : 0;
