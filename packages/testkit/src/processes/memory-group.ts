import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessCommand } from './start-process.ts';

/** A control group of Linux that bounds the memory of the processes in it. */
export interface MemoryGroup {
  /** The same command, run in the group from its first instruction on: Node.js sizes its heap by the limit. */
  within(command: ProcessCommand): ProcessCommand;
  /** Most that was used at once, bytes; page cache included. */
  peakBytes(): Promise<number>;
  /** How often the kernel has ended a process for want of memory. */
  kills(): Promise<number>;
  /** Removes it; its processes must have ended. */
  close(): Promise<void>;
}

const root = '/sys/fs/cgroup';

/** Undefined: there is no Linux here, or no right to make a group. */
export async function openMemoryGroup(limitBytes: number): Promise<MemoryGroup | undefined> {
  const isUnified = existsSync(join(root, 'cgroup.controllers'));
  const parent = isUnified ? root : join(root, 'memory');
  const folder = join(parent, `pushfleet-test-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const names = isUnified
    ? { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }
    : { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' };
  try {
    if (isUnified) await writeFile(join(root, 'cgroup.subtree_control'), '+memory');
    await mkdir(folder);
    await writeFile(join(folder, names.limit), String(limitBytes));
    // Swapped memory is memory.
    await writeFile(
      join(folder, isUnified ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes'),
      isUnified ? '0' : String(limitBytes),
    ).catch(() => undefined);
  } catch {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    return undefined;
  }
  return {
    within: ({ entry, command, args = [], execArgv = [], ...rest }) => ({
      ...rest,
      name: rest.name ?? String(entry ?? command),
      command: '/bin/sh',
      args: [
        '-c',
        'echo $$ > "$0/cgroup.procs" && exec "$@"',
        folder,
        ...(entry === undefined ? [command ?? ''] : [process.execPath, ...execArgv, pathOf(entry)]),
        ...args,
      ],
    }),
    peakBytes: async () => Number((await readFile(join(folder, names.peak), 'utf8')).trim()),
    kills: async () =>
      Number(/^oom_kill (\d+)$/m.exec(await readFile(join(folder, names.events), 'utf8'))?.[1] ?? 0),
    close: async () => rmdir(folder),
  };
}

function pathOf(entry: string | URL): string {
  return typeof entry === 'string' ? entry : entry.pathname;
}
