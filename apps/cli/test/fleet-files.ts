import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Ids of the apps in the configuration file. */
export const apps = ['shop', 'news'] as const;

/** A configuration file with two apps; its credentials are never read. */
export async function createFleetFile(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-cli-'));
  const path = join(folder, 'pushfleet.yaml');
  const lines = apps.map(
    (id) =>
      `  ${id}: { topic: com.example.${id}, environment: production, transport: binary, credential: { p12: none.p12 } }`,
  );
  await writeFile(path, `apps:\n${lines.join('\n')}\n`);
  return { path, remove: async () => rm(folder, { recursive: true }) };
}
