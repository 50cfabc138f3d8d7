import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { panelExpressions } from '../dashboards/expressions.ts';
import { repositoryRoot } from '../repository.ts';
import { headingAnchors } from './heading-anchors.ts';
import { knownMetrics } from './known-metrics.ts';
import { metricNames, syntaxProblem } from './promql.ts';
import { type AlertingRule, alertsOf, type RuleFile, readRules, rulesOf } from './rule-file.ts';

interface Expression {
  readonly where: string;
  readonly expr: string;
}

/** What is wrong with rules and dashboards, as far as it can be told without Prometheus. */
export async function checkRules(): Promise<string[]> {
  const recording = await readRules('recording.yml');
  const alerts = await readRules('alerts.yml');
  const runbook = await readFile(join(repositoryRoot, 'docs/runbook.md'), 'utf8');
  const tests = await readFile(join(repositoryRoot, 'ops/prometheus/tests/alerts.test.yml'), 'utf8');
  return [
    ...expressionProblems([...ruleExpressions(recording), ...ruleExpressions(alerts)], recording),
    ...expressionProblems(
      panelExpressions().map(({ dashboard, panel, expr }) => ({ where: `${dashboard}, "${panel}"`, expr })),
      recording,
    ),
    ...alertsOf(alerts).flatMap((alert) => alertProblems(alert, headingAnchors(runbook), tests)),
  ];
}

function ruleExpressions(file: RuleFile): Expression[] {
  return rulesOf(file).map((rule) => ({
    where: 'alert' in rule ? rule.alert : rule.record,
    expr: rule.expr,
  }));
}

/** Syntax, and names that nothing exposes or records: a typing error there is an alert that never fires. */
export function expressionProblems(expressions: readonly Expression[], recording: RuleFile): string[] {
  const recorded = new Set(rulesOf(recording).flatMap((rule) => ('record' in rule ? rule.record : [])));
  return expressions.flatMap(({ where, expr }) => {
    const problem = syntaxProblem(expr);
    if (problem !== undefined) return [`${where} ${problem}`];
    return metricNames(expr)
      .filter((name) => !knownMetrics.has(name) && !recorded.has(name))
      .map((name) => `${where} reads ${name}, which nothing exposes or records`);
  });
}

/** By default the producer's admin port; the external label is for those who have the page elsewhere. */
const runbookAddress =
  '{{ with $externalLabels.pushfleet_runbook }}{{ . }}{{ else }}http://127.0.0.1:9100/runbook{{ end }}';

const severities = ['critical', 'warning', 'info'];

/** @param tests Text of the unit tests: each alert has to fire in one. */
export function alertProblems(alert: AlertingRule, anchors: ReadonlySet<string>, tests: string): string[] {
  const problems: string[] = [];
  const { severity = '' } = alert.labels ?? {};
  const { summary, description, runbook_url: link = '' } = alert.annotations ?? {};
  if (!severities.includes(severity)) problems.push(`has no severity of ${severities.join(', ')}`);
  if (summary === undefined || description === undefined) problems.push('has no summary or no description');
  const [page, anchor = ''] = link.split('#');
  if (page !== runbookAddress || !anchors.has(anchor)) {
    problems.push(`links to ${link || 'nothing'}, which is no section of docs/runbook.md`);
  }
  if (!new RegExp(`alertname="${alert.alert}",alertstate="firing"`).test(tests)) {
    problems.push('fires in no test of ops/prometheus/tests/alerts.test.yml');
  }
  return problems.map((problem) => `${alert.alert} ${problem}`);
}
