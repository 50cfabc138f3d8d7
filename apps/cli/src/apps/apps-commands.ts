import { liftPauses, pauseApp, pauseCauses, readPauses } from '@pushfleet/push-queue';
import type { AppFacts } from '@pushfleet/push-queue/outcomes';
import type { FleetApp } from '@pushfleet/service-kit';
import { type Command, Option } from 'commander';
import { chosenApps, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { duration, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** `pushfleet apps`, `pause`, `resume`: which apps there are, and whether they run. */
export function addAppsCommands(program: Command, terminal: Terminal): void {
  addApps(program, terminal);
  addPause(program, terminal);
  addResume(program, terminal);
}

function addApps(program: Command, terminal: Terminal): void {
  program
    .command('apps')
    .description('show the apps, what became of their notifications, and why they rest')
    .argument('[app]', 'only this one')
    .addHelpText('after', `${fleetHelp}\n\nExamples:\n  pushfleet apps\n  pushfleet apps shop-prod --json`)
    .action(async (only: string | undefined) => {
      await withFleet(terminal, async (fleet) => {
        const facts = await fleet.facts.read(chosenApps(fleet, only));
        const apps = facts.map((app) =>
          describeApp(fleet.config.apps.find(({ id }) => id === app.app)!, app),
        );
        terminal.print({ apps }, () => showApps(apps));
      });
    });
}

interface AppDescription {
  readonly app: string;
  readonly topic: string;
  readonly environment: string;
  readonly transport: string;
  readonly enqueued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
  readonly open: number;
  readonly deadLetters: number;
  readonly pauses: readonly { readonly cause: string; readonly reason: string; readonly since: string }[];
}

function describeApp({ id, topic, environment, transport }: FleetApp, facts: AppFacts): AppDescription {
  const lanes = Object.values(facts.lanes);
  const sum = (pick: (lane: (typeof lanes)[number]) => number) =>
    lanes.reduce((total, lane) => total + pick(lane), 0);
  const enqueued = sum((lane) => lane.enqueued);
  const settled = sum((lane) => Object.values(lane.settled).reduce((total, count) => total + count, 0));
  return {
    ...{ app: id, topic, environment, transport, enqueued },
    accepted: sum(({ settled: by }) => by['accepted-proved'] + by['accepted-presumed']),
    rejected: sum(({ settled: by }) => by.rejected),
    expired: sum(({ settled: by }) => by.expired),
    cancelled: sum(({ settled: by }) => by.cancelled),
    dead: sum(({ settled: by }) => by.dead),
    open: enqueued - settled,
    deadLetters: facts.deadLetters.count,
    pauses: facts.pauses.map(({ cause, reason, sinceMs }) => ({
      cause,
      reason,
      since: new Date(sinceMs).toISOString(),
    })),
  };
}

function showApps(apps: readonly AppDescription[]): string {
  const header = [
    'app',
    'transport',
    'enqueued',
    'accepted',
    'rejected',
    'expired',
    'cancelled',
    'dead',
    'open',
    '',
  ];
  const rows = apps.map((app) => [
    ...[app.app, app.transport],
    ...[app.enqueued, app.accepted, app.rejected, app.expired, app.cancelled, app.dead, app.open],
    app.pauses.length > 0 ? 'rests' : app.deadLetters > 0 ? `${app.deadLetters} dead letters` : '',
  ]);
  const rests = apps.flatMap(({ app, pauses }) =>
    pauses.map(({ cause, reason, since }) => {
      const ago = duration(Date.now() - Date.parse(since));
      return `${app} rests for ${ago} (${cause}): ${reason}`;
    }),
  );
  return [table(header, rows), ...rests].join('\n');
}

function addPause(program: Command, terminal: Terminal): void {
  program
    .command('pause')
    .description('put an app to rest: workers finish what they have written, and take no more of it')
    .argument('<app>')
    .option('--reason <text>', 'for whoever finds it at rest', 'paused on the command line')
    .addHelpText(
      'after',
      `${fleetHelp}
Notifications stay in the queue; those whose time runs out meanwhile end as expired. Other apps go on.

Example:
  pushfleet pause shop-prod --reason "certificate is being renewed"`,
    )
    .action(async (app: string, { reason }: { readonly reason: string }) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        await pauseApp(fleet.control, app, { cause: 'operator', reason, sinceMs: Date.now() });
        const causes = (await readPauses(fleet.control, app)).map(({ cause }) => cause);
        terminal.print({ app, paused: causes }, () => `${app} rests`);
      });
    });
}

function addResume(program: Command, terminal: Terminal): void {
  program
    .command('resume')
    .description('let an app run again')
    .argument('<app>')
    .addOption(
      new Option('--cause <cause>', 'lift only the pause of this cause')
        .choices(pauseCauses)
        .default(undefined, 'all of them'),
    )
    .addHelpText(
      'after',
      `${fleetHelp}
When the reason is still there (a refused credential, a bad topic), workers put the app to rest again.

Example:
  pushfleet resume shop-prod`,
    )
    .action(async (app: string, { cause }: { readonly cause?: (typeof pauseCauses)[number] }) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        await liftPauses(fleet.control, app, cause === undefined ? pauseCauses : [cause]);
        const left = (await readPauses(fleet.control, app)).map((pause) => pause.cause);
        terminal.print({ app, paused: left }, () =>
          left.length === 0 ? `${app} runs` : `${app} still rests: ${left.join(', ')}`,
        );
      });
    });
}
