import { expect, test } from 'vitest';
import { familySeconds, parentOf, processBytes, processSeconds } from '../src/process-time.ts';

test.runIf(process.platform === 'linux')('the kernel tells what a process has used', async () => {
  const before = await processSeconds(process.pid);
  const until = process.cpuUsage().user + 200_000;
  while (process.cpuUsage().user < until);
  const used = (await processSeconds(process.pid)) - before;
  expect(used).toBeGreaterThan(0.15);
  expect(await familySeconds(process.pid)).toBeGreaterThanOrEqual(before);
  expect(await processBytes(process.pid)).toBeGreaterThan(0);
  expect(await parentOf(process.pid)).toBe(process.ppid);
});
