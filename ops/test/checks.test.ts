import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { composeProblems, readCompose } from '../src/checks/check-compose.ts';
import { checkManifests, manifestProblems } from '../src/checks/check-kubernetes.ts';
import { alertProblems, checkRules, expressionProblems } from '../src/checks/check-rules.ts';
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
