import {
  type FleetWorker,
  pauseApp,
  pauseCauses,
  type Resumed,
  readPauses,
  readWorkers,
  resumeApp,
  troublesOf,
} from '@pushfleet/push-queue';

import type { AppFacts } from '@pushfleet/push-queue/outcomes';
import type { FleetApp } from '@pushfleet/service-kit';
import { type Command, Option } from 'commander';

import { recordInRedis } from '../audit/audit-origin.ts';
import { chosenApps, type Fleet, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { counted, duration, table } from '../table.ts';

import type { Terminal } from '../terminal.ts';
import { visibleLine } from '../visible-text.ts';

/** How long `resume` waits for what the gateway says to the workers, milliseconds. */
const resumeTimeoutMs = 5_000;

/** `pushfleet apps`, `workers`, `pause`, `resume`: which apps and workers there are, and whether they run. */
export function addAppsCommands(program: Command, terminal: Terminal): void {
  addApps(program, terminal);
  addWorkers(program, terminal);
  addPause(program, terminal);
  addResume(program, terminal);
}

function addApps(program: Command, terminal: Terminal): void {
  program
    .command('apps')
    .description('show the apps, the outcomes of their notifications, and why they are paused')
    .argument('[app]', 'only this one')
    .addHelpText('after', `${fleetHelp}\n\nExamples:\n  pushfleet apps\n  pushfleet apps shop-prod --json`)
    .action(async (only: string | undefined) => {
      await withFleet(terminal, async (fleet) => {
        const [facts, workers] = await Promise.all([
          fleet.facts.read(chosenApps(fleet, only)),
          readWorkers(fleet.control),
        ]);
        const apps = facts.map((app) =>
          describeApp(fleet.config.apps.find(({ id }) => id === app.app)!, app, workers),
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
  readonly queued: number;
  /** As `queued`; the name of earlier versions. */
  readonly open: number;
  readonly deadLetters: number;
  readonly pauses: readonly { readonly cause: string; readonly reason: string; readonly since: string }[];
  /** Workers alive that serve it. */
  readonly workers: number;
  /** Workers that send only probes of it, by what the trouble of the gateway is; since the first of them does. */
  readonly slowed: readonly { readonly cause: string; readonly since: string; readonly workers: number }[];
  /** Workers that take nothing of it. */
  readonly unable: readonly {
    readonly worker: string;
    readonly host: string;
    readonly about: string;
    readonly reason: string;
    readonly since: string;
  }[];
}

function describeApp(
  { id, topic, environment, transport }: FleetApp,
  facts: AppFacts,
  fleet: readonly FleetWorker[],
): AppDescription {
  const workers = fleet.filter(({ apps }) => apps.includes(id));
  const slowed = workers.flatMap((worker) => worker.slowed[id] ?? []);
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
    queued: enqueued - settled,
    open: enqueued - settled,
    deadLetters: facts.deadLetters.count,
    pauses: facts.pauses.map(({ cause, reason, sinceMs }) => ({
      cause,
      reason,
      since: new Date(sinceMs).toISOString(),
    })),
    workers: workers.length,
    slowed: [...Map.groupBy(slowed, ({ cause }) => cause)].map(([cause, of]) => ({
      cause,
      since: new Date(Math.min(...of.map(({ sinceMs }) => sinceMs))).toISOString(),
      workers: of.length,
    })),
    unable: troublesOf(id, workers).map(({ worker, host, about, reason, sinceMs }) => ({
      ...{ worker, host, about, reason },
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
    'queued',
    '',
  ];
  const rows = apps.map((app) => [
    ...[app.app, app.transport],
    ...[app.enqueued, app.accepted, app.rejected, app.expired, app.cancelled, app.dead, app.queued],
    standingOf(app),
  ]);
  const paused = apps.flatMap(({ app, pauses }) =>
    pauses.map(({ cause, reason, since }) => {
      const ago = duration(Date.now() - Date.parse(since));
      return `${app} has been paused for ${ago} (${cause}): ${visibleLine(reason)}`;
    }),
  );
  const slowed = apps.flatMap((app) =>
    app.slowed.map(({ cause, since, workers }) => {
      const ago = duration(Date.now() - Date.parse(since));
      return `${app.app} is slowed for ${ago} at ${workers} of ${counted(app.workers, 'worker')} (${cause})`;
    }),
  );
  const unable = apps.flatMap((app) =>
    app.unable.map(({ host, about, reason, since }) => {
      const ago = duration(Date.now() - Date.parse(since));
      return `${app.app} cannot be sent for by a worker at ${visibleLine(host)} for ${ago} (${about}): ${visibleLine(reason)}`;
    }),
  );
  return [table(header, rows), ...paused, ...slowed, ...unable].join('\n');
}

function standingOf({ pauses, slowed, unable, deadLetters }: AppDescription): string {
  if (pauses.length > 0) return 'paused';
  if (slowed.length > 0) return 'slowed';
  if (unable.length > 0) return `${counted(unable.length, 'worker')} cannot send`;
  return deadLetters > 0 ? counted(deadLetters, 'dead letter') : '';
}

function addWorkers(program: Command, terminal: Terminal): void {
  program
    .command('workers')
    .description('show the running workers, and the apps that each cannot send for')
    .addHelpText('after', `${fleetHelp}\n\nExample:\n  pushfleet workers --json`)
    .action(async () => {
      await withFleet(terminal, async (fleet) => {
        const workers = await readWorkers(fleet.control);
        terminal.print({ workers }, () =>
          table(
            ['worker', 'host', 'pid', 'version', 'up', 'apps', 'cannot send for', 'slowed'],
            workers.map(({ id, host, pid, version, sinceMs, apps, troubles, slowed }) => [
              ...[id, host, String(pid), version, duration(Date.now() - sinceMs), apps.length],
              ...[Object.keys(troubles).join(', '), Object.keys(slowed).join(', ')],
            ]),
          ),
        );
      });
    });
}

function addPause(program: Command, terminal: Terminal): void {
  program
    .command('pause')
    .description('pause an app: workers finish what they have written, and take no more of its push jobs')
    .argument('<app>')
    .option('--reason <text>', 'for whoever finds it paused', 'paused on the command line')
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
        const before = await pausesOf(fleet, app);
        const change = { action: 'app.pause', app, target: app, before } as const;
        const { pauses } = await recordInRedis(fleet, terminal.env, change, async () => {
          await pauseApp(fleet.control, app, { cause: 'operator', reason, sinceMs: Date.now() });
          const after = await pausesOf(fleet, app);
          return { value: after, after };
        });
        const causes = pauses.map(({ cause }) => cause);
        const earlier = before.pauses.find(({ cause }) => cause === 'operator');
        terminal.print({ app, paused: causes }, () =>
          earlier === undefined
            ? `${app} is paused`
            : `${app} was paused already, and its reason stays: ${visibleLine(earlier.reason)}`,
        );
      });
    });
}

function addResume(program: Command, terminal: Terminal): void {
  program
    .command('resume')
    .description('resume a paused app')
    .argument('<app>')
    .addOption(
      new Option('--cause <cause>', 'lift only the pause of this cause')
        .choices(pauseCauses)
        .default(undefined, 'all of them'),
    )
    .addHelpText(
      'after',
      `${fleetHelp}
Workers that the gateway has refused ask it at once, and the answer says what they were told. While it refuses all of
them (a bad credential, a bad topic), the app is paused again.

Example:
  pushfleet resume shop-prod`,
    )
    .action(async (app: string, { cause }: { readonly cause?: (typeof pauseCauses)[number] }) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        const causes = cause === undefined ? pauseCauses : [cause];
        const before = await pausesOf(fleet, app);
        const change = { action: 'app.resume', app, target: app, before } as const;
        const resumed = await recordInRedis(fleet, terminal.env, change, async () => {
          const value = await resumeApp(fleet.control, app, causes, resumeTimeoutMs);
          return { value, after: await pausesOf(fleet, app) };
        });
        const paused = resumed.pauses.map((pause) => pause.cause);
        terminal.print({ app, paused, troubles: resumed.troubles, unheard: resumed.unheard }, () =>
          showResumed(app, resumed),
        );
      });
    });
}

/** As the audit log keeps them. */
async function pausesOf({ control }: Fleet, app: string) {
  const pauses = await readPauses(control, app);
  return { pauses: pauses.map(({ cause, reason }) => ({ cause, reason })) };
}

function showResumed(app: string, { pauses, troubles, unheard }: Resumed): string {
  const causes = pauses.map(({ cause }) => cause).join(', ');
  const refused = troubles.map(({ host, reason, untilMs, isHold }) => {
    const next = new Date(untilMs).toISOString();
    return `still refused at ${host}: ${visibleLine(reason)} (${isHold ? 'the gateway wants no question before' : 'asked again at'} ${next})`;
  });
  const silent =
    unheard === 0
      ? []
      : [`${counted(unheard, 'worker has', 'workers have')} had no answer of the gateway yet`];
  return [
    pauses.length === 0 ? `${app} runs` : `${app} is still paused: ${causes}`,
    ...refused,
    ...silent,
  ].join('\n');
}
