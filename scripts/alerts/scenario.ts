import { setTimeout as delay } from 'node:timers/promises';
import type { PrometheusClient } from '../stack/prometheus.ts';
import type { AlertFleet, ScenarioApp } from './alert-fleet.ts';

/** What one or more alerts are there for, and what docs/runbook.md says to do about it. */
export interface Scenario {
  /** Its alerts, with the labels that tell them from those of other scenarios. */
  readonly alerts: readonly { readonly name: string; readonly labels?: Readonly<Record<string, string>> }[];
  /** The app that it happens to; absent: it happens to a service. */
  readonly app?: ScenarioApp;
  /** What happens, for people. */
  readonly trouble: string;
  /** What the runbook says, for people. */
  readonly remedy: string;
  provoke(fleet: AlertFleet): Promise<void>;
  mend(fleet: AlertFleet): Promise<void>;
}

export interface ScenarioResult {
  readonly alert: string;
  readonly trouble: string;
  readonly remedy: string;
  /** Seconds from the trouble to the alert; undefined: it did not fire. */
  readonly firedAfter: number | undefined;
  /** Seconds from the remedy to its end; undefined: it did not resolve. */
  readonly resolvedAfter: number | undefined;
}

/** How long an alert may take to fire, and to resolve, milliseconds. */
const patienceMs = 240_000;

/** Provokes, waits, mends, waits. */
export async function playScenario(
  scenario: Scenario,
  fleet: AlertFleet,
  prometheus: PrometheusClient,
): Promise<ScenarioResult[]> {
  const { alerts, trouble, remedy } = scenario;
  const active = async () =>
    [...(await prometheus.query('ALERTS')).keys()].map((text) => JSON.parse(text) as Labels);
  const waitFor = async (isAsWanted: (all: readonly Labels[], alert: (typeof alerts)[number]) => boolean) => {
    const startMs = performance.now();
    const after = new Map<string, number>();
    while (after.size < alerts.length && performance.now() - startMs < patienceMs) {
      const all = await active();
      for (const alert of alerts) {
        if (after.has(alert.name) || !isAsWanted(all, alert)) continue;
        after.set(alert.name, Math.round((performance.now() - startMs) / 1_000));
      }
      await delay(250);
    }
    return after;
  };
  await scenario.provoke(fleet);
  const fired = await waitFor((all, { name, labels }) =>
    all.some((one) => matches(one, { alertname: name, alertstate: 'firing', ...labels })),
  );
  await scenario.mend(fleet);
  const resolved = await waitFor(
    (all, { name, labels }) => !all.some((one) => matches(one, { alertname: name, ...labels })),
  );
  return alerts.map(({ name }) => ({
    alert: name,
    trouble,
    remedy,
    firedAfter: fired.get(name),
    resolvedAfter: fired.has(name) ? resolved.get(name) : undefined,
  }));
}

type Labels = Readonly<Record<string, string>>;

function matches(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
