import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import {
  createPrivateFolder,
  openMemoryGroup,
  type ServiceEnvironment,
  type StartedProcess,
  startProcess,
  writeFleetFile,
} from '@pushfleet/testkit';
import { fuzzedApps } from './run-fuzz.ts';

export interface LimitedProducer {
  readonly started: StartedProcess;
  readonly port: number;
  readonly adminPort: number;
  /** How its memory is bounded, for people. */
  readonly bound: string;
  /** Most that was used, bytes; and how often the kernel has ended it. */
  memory(): Promise<{ readonly peakBytes: number; readonly kills: number }>;
  /** Ends it if it still runs, and removes what it was given. */
  remove(): Promise<void>;
}

export const memoryLimitBytes = 512 * 1024 * 1024;

/** A producer as a process of its own in the memory that is published for it: a control group, or what comes near. */
export async function startLimitedProducer(
  environment: Omit<ServiceEnvironment, 'configPath' | 'execArgv'>,
): Promise<LimitedProducer> {
  const folder = await createPrivateFolder('fuzz');
  const app = {
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'http2',
    credential: { p8: 'none.p8', keyId: 'ABCDE12345', teamId: 'TEAM123456' },
  };
  const configPath = await writeFleetFile(folder.path, Object.fromEntries(fuzzedApps.map((id) => [id, app])));
  const group = await openMemoryGroup(memoryLimitBytes);
  const command = {
    name: 'the producer',
    entry: new URL('../../src/main.ts', import.meta.url),
    // What Node.js takes for itself in a container of 512 MiB.
    execArgv: group === undefined ? ['--max-old-space-size=256'] : [],
    env: {
      REDIS_URL: environment.redisUrl,
      DATABASE_URL: environment.databaseUrl,
      PUSHFLEET_REDIS_PREFIX: environment.redisPrefix,
      PUSHFLEET_CONFIG: configPath,
      PUSHFLEET_PORT: '0',
      PUSHFLEET_ADMIN_PORT: '0',
      PUSHFLEET_LOG_LEVEL: 'info',
      ...environment.env,
    },
  };
  const started = await startProcess(group === undefined ? command : group.within(command));
  const { pid } = started.process;
  const { port, adminPort } = started.ready as { port: number; adminPort: number };
  await untilMigrated(port);
  return {
    started,
    port,
    adminPort,
    bound:
      group === undefined
        ? 'no control group to be had: a heap of 256 MiB, and its RSS watched'
        : 'a control group of 512 MiB',
    async memory() {
      if (group !== undefined) return { peakBytes: await group.peakBytes(), kills: await group.kills() };
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      return { peakBytes: Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024, kills: 0 };
    },
    async remove() {
      await started.kill();
      await group?.close();
      await folder.remove();
    },
  };
}

/** A producer serves while it migrates an empty database; what needs the database is answered 503 until then. */
async function untilMigrated(port: number): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const { status } = await fetch(`http://127.0.0.1:${port}/v1/broadcasts?app=shop`);
    if (status !== 503) return;
    if (performance.now() > deadlineMs)
      throw new Error('the producer has not migrated its database in a minute');
    await setTimeout(50);
  }
}
