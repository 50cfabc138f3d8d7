import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { Figure } from './figure.ts';
import { drawFigures } from './plot.ts';

// `node benchmarks/src/redraw.ts`: the pictures anew from the results that are there. Nothing is measured.

const folder = new URL('../results/', import.meta.url);

interface SavedResult {
  readonly section: string;
  readonly measuredAt: string;
  readonly commit: string;
  readonly machine: { readonly processor: string; readonly cores: number; readonly node: string };
  readonly figures: readonly Figure[];
}

for (const name of await readdir(folder)) {
  if (!name.endsWith('.json')) continue;
  const result = JSON.parse(await readFile(new URL(name, folder), 'utf8')) as SavedResult;
  await writeFile(new URL(name.replace('.json', '.svg'), folder), drawResult(result));
}

function drawResult({ section, figures, measuredAt, commit, machine }: SavedResult): string {
  const { cores, node } = machine;
  return drawFigures(section, figures, { measuredAt, commit, machine: `${cores} cores, Node.js ${node}` });
}
