import { readFile } from 'node:fs/promises';

/** Of the kernel's accounts: hundredths of a second, on every Linux. */
const ticksPerSecond = 100;

/** Processor time of a process and its threads so far, user and system, seconds. Linux only. */
export async function processSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name, in brackets, and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
