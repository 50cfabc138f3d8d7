import { setTimeout as delay } from 'node:timers/promises';
import {
  type AppControlOptions,
  type AppPause,
  liftPauses,
  type PauseCause,
  readPauses,
  ringResume,
} from './app-control.ts';
import { type AppTrouble, type FleetWorker, readWorkers } from './worker-registry.ts';

/** What one worker says against sending for an app. */
export interface WorkerTrouble extends AppTrouble {
  readonly worker: string;
  readonly host: string;
}

/** What came of a resume. */
export interface Resumed {
  /** Pauses that stand. */
  readonly pauses: readonly AppPause[];
  /** What workers say after they have asked the gateway. */
  readonly troubles: readonly WorkerTrouble[];
  /** Workers that have not said anything yet. */
  readonly unheard: number;
}

/** How often the workers' words are read, milliseconds. */
const lookIntervalMs = 150;

/**
 * Lifts the pauses of these causes, has every worker in trouble with the app ask the gateway now, and waits for what
 * they are told: at most `timeoutMs`.
 */
export async function resumeApp(
  options: AppControlOptions,
  app: string,
  causes: readonly PauseCause[],
  timeoutMs: number,
): Promise<Resumed> {
  const untilMs = performance.now() + timeoutMs;
  const before = troublesOf(app, await readWorkers(options));
  await liftPauses(options, app, causes);
  await ringResume(options, app);
  for (;;) {
    const [workers, pauses] = await Promise.all([readWorkers(options), readPauses(options, app)]);
    const troubles = troublesOf(app, workers);
    const isUnheard = ({ worker, checkedAtMs }: WorkerTrouble) =>
      troubles.some((now) => now.worker === worker && now.checkedAtMs === checkedAtMs);
    const unheard = before.filter(isUnheard).length;
    if (unheard === 0 || performance.now() >= untilMs) return { pauses, troubles, unheard };
    await delay(lookIntervalMs);
  }
}

/** What workers say against sending for an app. */
export function troublesOf(app: string, workers: readonly FleetWorker[]): WorkerTrouble[] {
  return workers.flatMap(({ id, host, troubles }) => {
    const trouble = troubles[app];
    return trouble === undefined ? [] : [{ worker: id, host, ...trouble }];
  });
}
