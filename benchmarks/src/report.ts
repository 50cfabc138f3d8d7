import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Figure } from './figure.ts';
import { drawFigures } from './plot.ts';
import { withFigure } from './readme-figures.ts';

const resultsFolder = new URL('../results/', import.meta.url).pathname;
const readmePath = new URL('../../README.md', import.meta.url).pathname;

/** A line per figure: what, how much, against what, and whether the bar holds. */
export function printFigures(figures: readonly Figure[], out: NodeJS.WritableStream): void {
  for (const { section, name, figure, unit, ratio, against, bar, holds } of figures) {
    const parts = [`${section}: ${name}: ${figure.toLocaleString('en')} ${unit}`];
    if (ratio !== null) parts.push(`${ratio} times ${against}`);
    if (bar !== null) parts.push(`bar ${bar}: ${holds === true ? 'holds' : 'MISSED'}`);
    out.write(`  ${parts.join(' · ')}\n`);
  }
}

/**
 * Writes one JSON file and one picture per section, with the machine and the commit, and the README's figures; returns the
 * names of the files.
 */
export async function saveFigures(figures: readonly Figure[]): Promise<string[]> {
  const [processor] = cpus();
  const machine = {
    processor: processor?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  const written: string[] = [];
  await mkdir(resultsFolder, { recursive: true });
  for (const [section, measured] of Map.groupBy(figures, ({ section }) => section)) {
    const result = {
      section,
      measuredAt: new Date().toISOString(),
      commit: commitOf(),
      machine,
      command: `npm run bench -- --section ${section}`,
      figures: measured,
    };
    const file = join(resultsFolder, `${section}.json`);
    await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
    const picture = join(resultsFolder, `${section}.svg`);
    await writeFile(
      picture,
      drawFigures(section, measured, {
        measuredAt: result.measuredAt,
        commit: result.commit,
        machine: `${machine.cores} cores, Node.js ${machine.node}`,
      }),
    );
    await writeFile(readmePath, withFigure(await readFile(readmePath, 'utf8'), section, measured));
    written.push(`results/${section}.json`, `results/${section}.svg`);
  }
  return written;
}

/** The commit that was measured, marked when the tree differs from it. */
function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: resultsFolder, encoding: 'utf8' }).trim();
  try {
    return git('describe', '--always', '--dirty', '--abbrev=12');
  } catch {
    return 'unknown';
  }
}
