import { createPrivateFolder } from '@pushfleet/testkit';
import { AlertFleet } from './alert-fleet.ts';
import { type AlertsArguments, parseAlertsArguments, usage } from './arguments.ts';
import { startPrometheus } from './prometheus-process.ts';
import { alertNames, readShortenedRules } from './rules.ts';
import { playScenario, type Scenario, type ScenarioResult } from './scenario.ts';
import { apart, inTurn } from './scenarios/all-scenarios.ts';

// Every alert, tried: `npm run alerts`.

const begunMs = Date.now();
const say = (line: string) =>
  process.stderr.write(`${((Date.now() - begunMs) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`);

async function run({ only }: AlertsArguments): Promise<ScenarioResult[]> {
  const known = alertNames(await readShortenedRules('alerts.yml'));
  const unknown = only.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--only: there is no alert ${unknown.join(', ')}`);
  const isWanted = ({ alerts }: Scenario) =>
    only.length === 0 || alerts.some(({ name }) => only.includes(name));
  const folder = await createPrivateFolder('alerts');
  try {
    const prometheus = await startPrometheus(folder);
    try {
      const apps = [...apart, ...inTurn].flatMap(({ app }) => app ?? []);
      const fleet = await AlertFleet.open({ folder, prometheus, apps, say });
      try {
        // Rates and increases begin with the first scrape.
        const scraped = await prometheus.client.queryUntil(
          'count(count_over_time(up[1m]) > 2)',
          (values) => [...values.values()][0] === fleet.services.size,
          30_000,
        );
        if ([...scraped.values()][0] !== fleet.services.size) throw new Error('not every service is scraped');
        say(`a fleet of ${apps.length} apps runs, and Prometheus watches it at ${prometheus.url}`);
        const play = async (scenario: Scenario) => {
          const results = await playScenario(scenario, fleet, prometheus.client);
          for (const result of results) say(describe(result));
          return results;
        };
        const results = (await Promise.all(apart.filter(isWanted).map(play))).flat();
        for (const scenario of inTurn.filter(isWanted)) results.push(...(await play(scenario)));
        const untried =
          only.length > 0 ? [] : known.filter((name) => results.every(({ alert }) => alert !== name));
        if (untried.length > 0) throw new Error(`no scenario tries ${untried.join(', ')}`);
        return results;
      } finally {
        await fleet.close();
      }
    } finally {
      await prometheus.stop();
    }
  } finally {
    await folder.remove();
  }
}

function describe({ alert, trouble, remedy, firedAfter, resolvedAfter }: ScenarioResult): string {
  if (firedAfter === undefined) return `WRONG: ${alert} did not fire: ${trouble}`;
  const fired = `${alert} fired after ${firedAfter} s: ${trouble}`;
  return resolvedAfter === undefined
    ? `WRONG: ${fired}; it did not resolve: ${remedy}`
    : `${fired}; resolved ${resolvedAfter} s after: ${remedy}`;
}

try {
  const args = parseAlertsArguments(process.argv.slice(2));
  if (args === 'help') {
    process.stdout.write(`${usage}\n`);
  } else {
    const results = await run(args);
    const wrong = results.filter(({ resolvedAfter }) => resolvedAfter === undefined);
    say(`${results.length - wrong.length} of ${results.length} alerts fired, and resolved`);
    if (args.json) process.stdout.write(`${JSON.stringify({ results })}\n`);
    process.exitCode = wrong.length === 0 ? 0 : 1;
  }
} catch (error) {
  say(`failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
