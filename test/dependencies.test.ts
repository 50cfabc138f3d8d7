import { globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const declared = globSync(
  ['package.json', '{apps,packages}/*/package.json', '{benchmarks,ops}/package.json'],
  {
    cwd: root,
  },
)
  .map((file) => JSON.parse(readFileSync(`${root}/${file}`, 'utf8')) as Manifest)
  .flatMap((manifest) =>
    Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    }),
  )
  .filter(([name]) => !name.startsWith('@pushfleet/'));

test('every dependency has its line in docs/decisions/dependencies.md, and every line its dependency', () => {
  const page = readFileSync(`${root}/docs/decisions/dependencies.md`, 'utf8');
  const listed = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name!);
  expect(listed.toSorted()).toEqual([...new Set(declared.map(([name]) => name))].toSorted());
});

test('versions are exact, and one version of a package serves all workspaces', () => {
  expect(declared.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  const versions = Map.groupBy(declared, ([name]) => name);
  const divergent = [...versions].filter(([, uses]) => new Set(uses.map(([, version]) => version)).size > 1);
  expect(divergent.map(([name]) => name)).toEqual([]);
});
