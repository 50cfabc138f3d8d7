import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { composeProblems, readCompose } from '../src/checks/check-compose.ts';
import { checkManifests, manifestProblems, renderExample } from '../src/checks/check-kubernetes.ts';
import { alertProblems, checkRules, expressionProblems } from '../src/checks/check-rules.ts';
import { verifyUnits } from '../src/checks/check-systemd.ts';
import { headingAnchors } from '../src/checks/heading-anchors.ts';
import { metricNames, syntaxProblem } from '../src/checks/promql.ts';
import { alertsOf, readRules } from '../src/checks/rule-file.ts';
import { findDrift, writeDashboards } from '../src/dashboards/dashboard-files.ts';
import { repositoryRoot } from '../src/repository.ts';

test('the compose file, the rules, the dashboards and the manifests are in order', async () => {
  expect(composeProblems(await readCompose())).toEqual([]);
  expect(await checkRules()).toEqual([]);
  expect(await findDrift(join(repositoryRoot, 'ops/grafana/dashboards'))).toEqual([]);
  expect(await checkManifests()).toEqual([]);
});

test('a careless compose service is told everything', () => {
  const file = {
    services: {
      worker: {
        image: 'pushfleet:dev',
        build: '.',
        stop_grace_period: '30s',
        environment: { PUSHFLEET_DRAIN_TIMEOUT: '25s' },
        secrets: ['redis-url'],
        volumes: ['./here:/there:ro', 'certificates:/var/lib/certificates'],
        networks: ['data'],
        depends_on: { redis: {} },
      },
    },
    networks: { data: {} },
  };
  expect(composeProblems(file)).toEqual([
    'worker names the secret redis-url, which is not declared',
    'worker names the volume certificates, which is not declared',
    'worker names the service redis, which is not declared',
    'worker has no limit of memory',
    'worker may write to its root file system',
    'worker keeps capabilities',
    'worker is killed before its drain has ended: stop_grace_period is too short',
  ]);
});

test('expressions that are no PromQL, or that read what nothing exposes, are told', async () => {
  const recording = await readRules('recording.yml');
  const problems = expressionProblems(
    [
      { where: 'broken', expr: 'sum(rate(up[5m])' },
      {
        where: 'misspelt',
        expr: 'rate(pushfleet_writen_notifications_total[5m]) > app:pushfleet_nothing:rate5m',
      },
      { where: 'fine', expr: 'app:pushfleet_settled_notifications:rate5m / on (app) group_left () (up > 0)' },
    ],
    recording,
  );
  expect(problems).toEqual([
    expect.stringMatching(/^broken is not PromQL near/),
    'misspelt reads pushfleet_writen_notifications_total, which nothing exposes or records',
    'misspelt reads app:pushfleet_nothing:rate5m, which nothing exposes or records',
  ]);
});

test('the metrics of an expression are found, and only they', () => {
  const expr =
    'sum by (app, le) (rate(a_bucket{le="b"}[5m])) and on (app) max_over_time(c:d:e[1h:1m]) or vector(0)';
  expect(syntaxProblem(expr)).toBeUndefined();
  expect(metricNames(expr)).toEqual(['a_bucket', 'c:d:e']);
});

test('an alert without severity, words, section or test is told', async () => {
  const anchors = headingAnchors('# Runbook\n\n## App paused\n\n## Is it `down`? Yes.\n');
  expect([...anchors]).toEqual(['runbook', 'app-paused', 'is-it-down-yes']);
  const alert = { alert: 'PushfleetX', expr: 'up', annotations: { runbook_url: 'docs/runbook.md#nowhere' } };
  expect(alertProblems(alert, anchors, '')).toHaveLength(4);
  const [paused] = alertsOf(await readRules('alerts.yml'));
  expect(alertProblems(paused!, anchors, `alertname="${paused!.alert}",alertstate="firing"`)).toEqual([]);
});

test('a dashboard that was changed by hand, forgotten or left behind is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-dashboards-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  await writeDashboards(folder);
  expect(await findDrift(folder)).toEqual([]);
  await writeFile(join(folder, 'overview.json'), '{}');
  await writeFile(join(folder, 'old.json'), '{}');
  await rm(join(folder, 'runtime.json'));
  expect(await findDrift(folder)).toEqual([
    'old.json is made by no code',
    'overview.json is not what the code makes',
    'runtime.json is missing',
  ]);
});

test('a manifest with a wrong field is told, and so is one of an unknown kind', () => {
  const text = [
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: x }\nspec: { replicas: three, selector: {}, template: {} }',
    'apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: y }',
  ].join('\n---\n');
  expect(manifestProblems('file', text)).toEqual([
    expect.stringMatching(/^file: Deployment x: .*replicas must be integer/),
    'file: Thing y is of a kind that no schema is known for',
  ]);
});

test('a careless pod is told everything', () => {
  const text = `apiVersion: batch/v1
kind: Job
metadata: { name: x }
spec: { template: { spec: { restartPolicy: Never, containers: [{ name: x, image: x }] } } }`;
  expect(manifestProblems('file', text)).toEqual(
    [
      'gets variables of Services',
      'gets a token of Kubernetes',
      'may run as root',
      'has no seccomp profile',
      'may gain privileges',
      'may write to its root file system',
      'keeps capabilities',
      'has no limit of memory',
    ].map((problem) => `file: Job x ${problem}`),
  );
});

test('the example, rendered, fits the schemas, and reaches what has a name alone', async ({ skip }) => {
  const rendered = await renderExample();
  if (rendered === undefined) skip('there is no kubectl here');
  expect(manifestProblems('rendered', rendered!)).toEqual([]);
  const policies = parseAllDocuments(rendered!)
    .map((document) => document.toJS() as Policy)
    .filter(({ kind }) => kind === 'NetworkPolicy');
  const names = policies.map(({ metadata }) => metadata.name).toSorted();
  expect(names).toEqual([
    'pushfleet-egress-apns',
    'pushfleet-egress-binary-gateway',
    'pushfleet-egress-dns',
    'pushfleet-egress-otlp',
    'pushfleet-egress-postgres',
    'pushfleet-egress-redis',
    'pushfleet-egress-webhooks',
    'pushfleet-ingress-api',
    'pushfleet-ingress-metrics',
    'pushfleet-nothing-else',
  ]);
  // Each names whom it lets to, and by which port.
  const open = policies.flatMap(({ metadata, spec }) =>
    (spec.egress ?? [])
      .filter(({ to, ports }) => to === undefined || ports === undefined)
      .map(() => metadata.name),
  );
  expect(open).toEqual([]);
});

test('units of systemd are in order, and one stop reaches the whole group', async ({ skip }) => {
  const folder = join(repositoryRoot, 'deploy/systemd');
  for (const unit of [
    'pushfleet-producer.service',
    'pushfleet-worker.service',
    'pushfleet-sweeper.service',
  ]) {
    const text = await readFile(join(folder, unit), 'utf8');
    expect(text).toMatch(/^KillMode=control-group$/m);
    const [, drain] = /PUSHFLEET_DRAIN_TIMEOUT=(\d+)s/.exec(text)!;
    const [, stop] = /^TimeoutStopSec=(\d+)s$/m.exec(text)!;
    expect(Number(stop)).toBeGreaterThanOrEqual(Number(drain) + 10);
    const [, entry] = /^ExecStart=\S+ \/opt\/pushfleet\/(\S+)$/m.exec(text)!;
    expect(existsSync(join(repositoryRoot, entry!))).toBe(true);
  }
  const verified = await verifyUnits(folder);
  if (verified === undefined) skip('there is no systemd-analyze here');
  expect(verified).toEqual([]);
});

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly egress?: readonly { readonly to?: object; readonly ports?: object }[] };
}
