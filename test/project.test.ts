import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

// What those who join find: a README and an owner for every workspace, workflows that run, and what they run pinned.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const workspaces = globSync('{apps,packages}/*/package.json', { cwd: root })
  .map(dirname)
  .concat('benchmarks', 'ops')
  .sort();

describe.each(workspaces)('%s', (workspace) => {
  test('has a README that says what it is', () => {
    const [heading, empty, ...text] = read(`${workspace}/README.md`).split('\n');
    expect(heading).toMatch(/^# \S/);
    expect(empty).toBe('');
    expect(text.join(' ').length).toBeGreaterThan(100);
  });

  test('has an owner', () => {
    expect(read('.github/CODEOWNERS')).toMatch(new RegExp(`^/${workspace}/ +@\\S+$`, 'm'));
  });
});

test('every path of CODEOWNERS exists', () => {
  const paths = [...read('.github/CODEOWNERS').matchAll(/^\/(\S+)/gm)].map(([, path]) => path!);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { uses?: string; run?: string }[] }>>;
}

describe.each(readdirSync(join(root, '.github/workflows')))('workflow %s', (name) => {
  const steps = Object.values(
    (parse(read(`.github/workflows/${name}`)) as Workflow | null)?.jobs ?? {},
  ).flatMap((job) => job.steps);

  test('does something', () => {
    expect(steps.length).toBeGreaterThan(1);
  });

  test('pins actions by commit', () => {
    const used = steps.flatMap(({ uses }) => uses ?? []);
    expect(used.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });

  test('runs tasks that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const run = steps.flatMap(({ run: script }) => [...(script ?? '').matchAll(/npm run ([\w:]+)/g)]);
    expect(run.map(([, task]) => task!).filter((task) => !(task in scripts))).toEqual([]);
  });
});
