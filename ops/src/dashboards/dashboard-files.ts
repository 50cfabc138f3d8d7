import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { allDashboards } from './all-dashboards.ts';
import { createDashboard } from './dashboard.ts';

/** The JSON that Grafana reads, by file name, as the code makes it. */
export function renderDashboards(): ReadonlyMap<string, string> {
  return new Map(
    allDashboards.map((plan) => [`${plan.id}.json`, `${JSON.stringify(createDashboard(plan), null, 2)}\n`]),
  );
}

export async function writeDashboards(folder: string): Promise<void> {
  for (const [name, text] of renderDashboards()) await writeFile(join(folder, name), text);
}

/** How the files in a folder differ from what the code makes; empty: not at all. */
export async function findDrift(folder: string): Promise<string[]> {
  const rendered = renderDashboards();
  const present = new Set((await readdir(folder)).filter((name) => name.endsWith('.json')));
  const problems: string[] = [];
  for (const name of present) {
    if (!rendered.has(name)) problems.push(`${name} is made by no code`);
  }
  for (const [name, text] of rendered) {
    if (!present.has(name)) problems.push(`${name} is missing`);
    else if ((await readFile(join(folder, name), 'utf8')) !== text) {
      problems.push(`${name} is not what the code makes`);
    }
  }
  return problems;
}
