import { readdir, readFile } from 'node:fs/promises';

/** Of the kernel's accounts: hundredths of a second, on every Linux. */
const ticksPerSecond = 100;

/** Processor time of a process and its threads so far, user and system, seconds. Linux only. */
export async function processSeconds(pid: number): Promise<number> {
  const fields = await statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The same of a process, of those that it has started, and of those among them that have ended. Linux only. */
export async function familySeconds(pid: number): Promise<number> {
  const own = await statOf(pid);
  let ticks = 0;
  // utime, stime, and of the children that have ended.
  for (const place of [11, 12, 13, 14]) ticks += Number(own[place]);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = await statOf(Number(name)).catch(() => []);
    if (Number(fields[1]) === pid) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** The parent of a process. Linux only. */
export async function parentOf(pid: number): Promise<number> {
  return Number((await statOf(pid))[1]);
}

/** Bytes that a process has read and written, files and sockets alike. Linux only. */
export async function processBytes(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0);
  return of('rchar') + of('wchar');
}

/** The fields after the name: the state is the first. */
async function statOf(pid: number): Promise<readonly string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name, in brackets, and may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
