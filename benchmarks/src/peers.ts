import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProcess } from '@pushfleet/testkit';

const folder = fileURLToPath(new URL('../../.pushfleet/bench-peers/', import.meta.url));

/**
 * Installs other senders to measure against, apart from the project: they are nobody's dependency. Returns the folder to
 * resolve them from, or undefined where npm cannot get them.
 */
export async function installPeers(packages: readonly string[]): Promise<string | undefined> {
  const home = join(folder, packages.join('+').replaceAll('/', '-'));
  await mkdir(home, { recursive: true });
  const result = await runProcess({
    command: 'npm',
    args: [
      'install',
      '--prefix',
      home,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      ...packages,
    ],
    timeoutMs: 120_000,
  });
  return result.code === 0 ? home : undefined;
}
