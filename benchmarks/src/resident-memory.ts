import { readFile } from 'node:fs/promises';

/** Resident memory of a process, MiB. Linux only. */
export async function residentMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kibibytes === undefined) throw new Error('This machine does not tell the memory of a process');
  return Number(kibibytes) / 1024;
}
