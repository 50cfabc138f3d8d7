import { expect, test } from 'vitest';
import { alertNames, readShortenedRules } from '../alerts/rules.ts';
import { apart, inTurn } from '../alerts/scenarios/all-scenarios.ts';

test('every alert is tried by `npm run alerts`, and no other', async () => {
  const tried = new Set([...apart, ...inTurn].flatMap(({ alerts }) => alerts.map(({ name }) => name)));
  expect([...tried].toSorted()).toEqual(alertNames(await readShortenedRules('alerts.yml')).toSorted());
});

test('scenarios that are played at once have apps of their own', () => {
  const apps = [...apart, ...inTurn].flatMap(({ app }) => app?.id ?? []);
  expect(new Set(apps).size).toBe(apps.length);
});

test('of the rules, time alone is made shorter', async () => {
  const rules = await readShortenedRules('alerts.yml');
  expect(rules).toContain('increase(pushfleet_reports_set_aside_total[60s])');
  expect(rules).toContain('increase(pushfleet_written_notifications_total[5s])');
  expect(rules).toContain('for: 10s');
  expect(rules).toContain('> 3600');
  expect(rules).not.toMatch(/(?:for: |interval: |\[)\d+[mh]\b/);
});
