import { globSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.ts';
import { runTool } from './run-tool.ts';

const folder = join(repositoryRoot, 'ops/prometheus');

/** What promtool says of the rules, their tests and the configuration; undefined where it is not there. */
export async function checkWithPromtool(): Promise<string[] | undefined> {
  const rules = globSync('rules/*.yml', { cwd: folder });
  const tests = globSync('tests/*.test.yml', { cwd: folder });
  const problems: string[] = [];
  for (const args of [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', ...rules],
    ['test', 'rules', ...tests],
  ]) {
    const result = await runTool('promtool', args, folder);
    if (result === undefined) return undefined;
    const output = `${result.stdout}${result.stderr}`.trim();
    if (result.code !== 0) problems.push(`promtool ${args.slice(0, 2).join(' ')}:\n${output}`);
  }
  return problems;
}
