import { readWorkers, troublesOf } from '@pushfleet/push-queue';
import { type AppFacts, FleetFacts } from '@pushfleet/push-queue/outcomes';
import { readBuildInfo } from '@pushfleet/service-kit';
import type { Cluster, Redis } from 'ioredis';
import { counted, duration } from '../table.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** A push job of the transactional lane that waits longer than this waits for something, milliseconds. */
const longWaitMs = 30_000;

/** What Redis knows of the fleet: workers alive, pauses, dead letters, what waits. */
export async function checkFleet(
  redis: Redis | Cluster,
  options: { readonly url: string; readonly prefix: string; readonly apps: readonly string[] },
  nowMs: number,
): Promise<Finding[]> {
  const { url, prefix, apps } = options;
  const facts = new FleetFacts({ redis: url, prefix });
  try {
    const [workers, ofApps] = await Promise.all([readWorkers({ redis, prefix }), facts.read(apps)]);
    const queued = ofApps.reduce((sum, app) => sum + queuedOf(app), 0);
    return [
      ...checkWorkers(workers, queued),
      ...ofApps.flatMap((app) => [
        ...checkPauses(app),
        ...checkServed(app, workers),
        ...checkLetters(app),
        ...checkQueues(app, nowMs),
      ]),
    ];
  } finally {
    await facts.close();
  }
}

type Workers = Awaited<ReturnType<typeof readWorkers>>;

function checkWorkers(workers: Workers, queued: number): Finding[] {
  const { ok, warning, problem } = findingsAbout('workers');
  const advice =
    'Start one: npm run start:worker, or what runs it here. If one runs, look at its log and /readyz.';
  if (workers.length === 0) {
    return queued > 0
      ? [problem(`none is alive, and ${counted(queued, 'notification')} wait to be sent`, advice)]
      : [warning('none is alive: what is enqueued waits', advice)];
  }
  const { version } = readBuildInfo();
  const others = workers.filter((worker) => worker.version !== version && worker.version !== '');
  const alive = ok(`${workers.length} ${workers.length === 1 ? 'is' : 'are'} alive`);
  if (others.length === 0) return [alive];
  const versions = [...new Set(others.map((worker) => worker.version))].join(', ');
  return [
    alive,
    warning(
      `${others.length} of them ${others.length === 1 ? 'runs' : 'run'} another version (${versions}) than this program (${version})`,
      'In the middle of an upgrade that is all right; otherwise finish it: pushfleet upgrade names them.',
    ),
  ];
}

function checkPauses({ app, pauses }: AppFacts): Finding[] {
  const { warning, problem } = findingsAbout(`apps.${app}`);
  return pauses.map(({ cause, reason, sinceMs }) => {
    const message = `is paused since ${new Date(sinceMs).toISOString()}, cause ${cause}: ${reason}`;
    return cause === 'operator'
      ? warning(message, `When it may go on: pushfleet resume ${app}`)
      : problem(
          message,
          `docs/runbook.md#app-paused says what the cause asks for; then: pushfleet resume ${app}`,
        );
  });
}

function checkServed({ app }: AppFacts, workers: Workers): Finding[] {
  const { warning, problem } = findingsAbout(`apps.${app}`);
  const serving = workers.filter(({ apps }) => apps.includes(app));
  if (workers.length > 0 && serving.length === 0) {
    return [
      problem(
        'is served by no worker that is alive',
        'Give the workers the pushfleet.yaml that names it, and start them again.',
      ),
    ];
  }
  const troubles = troublesOf(app, serving);
  const slowed = serving.filter((worker) => worker.slowed[app] !== undefined);
  return [
    ...troubles.map(({ host, reason, sinceMs }) =>
      problem(
        `a worker at ${host} cannot send for it since ${new Date(sinceMs).toISOString()}: ${reason}`,
        'docs/runbook.md#app-paused. What the worker cannot send, others do, where they can.',
      ),
    ),
    ...(slowed.length === 0
      ? []
      : [
          warning(
            `${counted(slowed.length, 'worker')} only ${slowed.length === 1 ? 'probes' : 'probe'} the gateway, which has trouble`,
            'Nothing is lost, it goes on by itself: docs/runbook.md#app-slowed.',
          ),
        ]),
  ];
}

function checkLetters({ app, deadLetters }: AppFacts): Finding[] {
  const { warning } = findingsAbout(`apps.${app}`);
  if (deadLetters.count === 0) return [];
  const what = counted(deadLetters.count, 'dead letter');
  return [
    warning(`has ${what}`, `Look at them: pushfleet dead-letters list ${app}. Then replay or drop them.`),
  ];
}

function checkQueues(facts: AppFacts, nowMs: number): Finding[] {
  const { ok, warning } = findingsAbout(`apps.${facts.app}`);
  const oldest = facts.lanes.transactional.oldestWaitingMs;
  const waits = oldest === undefined ? 0 : nowMs - oldest;
  const queued = counted(queuedOf(facts), 'notification');
  if (waits > longWaitMs && facts.pauses.length === 0) {
    return [
      warning(
        `${queued} queued; the transactional lane waits for ${duration(waits)}`,
        'Add workers, or look why they take nothing: docs/runbook.md#backlog-old.',
      ),
    ];
  }
  return [ok(`${queued} queued`)];
}

function queuedOf({ lanes }: AppFacts): number {
  return Object.values(lanes).reduce(
    (sum, { enqueued, settled }) =>
      sum + enqueued - Object.values(settled).reduce((total, count) => total + count, 0),
    0,
  );
}
