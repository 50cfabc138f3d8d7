import { lanes, queueClasses, quotaLimits } from '@pushfleet/push-queue';
import type { Command } from 'commander';
import { chosenApps, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { duration, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function addQueuesCommand(program: Command, terminal: Terminal): void {
  program
    .command('queues')
    .description('show the queues: notifications, push jobs, the age of the oldest')
    .argument('[app]', 'only of this one')
    .addHelpText(
      'after',
      `${fleetHelp}
A push job holds up to 1,000 notifications. Queued: enqueued, and without an outcome so far. Below: what each app has of its quota.

Examples:
  pushfleet queues
  watch pushfleet queues shop-prod`,
    )
    .action(async (only: string | undefined) => {
      await withFleet(terminal, async (fleet) => {
        const facts = await fleet.facts.read(chosenApps(fleet, only));
        const nowMs = Date.now();
        const queues = facts.flatMap(({ app, lanes: byLane }) =>
          lanes.map((lane) => {
            const { enqueued, settled, waiting, active, delayed, oldestWaitingMs } = byLane[lane];
            const queued = enqueued - Object.values(settled).reduce((sum, count) => sum + count, 0);
            const oldestAgeMs = oldestWaitingMs === undefined ? null : Math.max(0, nowMs - oldestWaitingMs);
            // `open` is the name of earlier versions.
            return { app, lane, queued, open: queued, jobs: { waiting, active, delayed }, oldestAgeMs };
          }),
        );
        const memory = (await fleet.facts.memory()).flatMap(({ memoryBytes }) => memoryBytes ?? []);
        const memoryBytes = memory.length === 0 ? undefined : Math.min(...memory);
        const quotas = facts.flatMap(({ app, held }) => {
          const limits = quotaLimits(fleet.config.apps.find(({ id }) => id === app)?.queue, memoryBytes);
          return queueClasses.map((each) => ({
            app,
            class: each,
            notifications: { used: held.sizes[each].notifications, limit: limits[each].notifications },
            bytes: { used: held.sizes[each].bytes, limit: limits[each].bytes },
          }));
        });
        terminal.print({ queues, quotas }, () => {
          const waiting = table(
            ['app', 'lane', 'queued', 'jobs waiting', 'active', 'delayed', 'oldest'],
            queues.map(({ app, lane, queued, jobs, oldestAgeMs }) => [
              ...[app, lane, queued, jobs.waiting, jobs.active, jobs.delayed],
              oldestAgeMs === null ? '' : duration(oldestAgeMs),
            ]),
          );
          const used = table(
            ['app', 'class', 'notifications', 'at most', 'bytes', 'at most'],
            quotas.map((one) => [
              ...[one.app, one.class, one.notifications.used, one.notifications.limit],
              ...[one.bytes.used, one.bytes.limit],
            ]),
          );
          return `${waiting}\n\n${used}`;
        });
      });
    });
}
