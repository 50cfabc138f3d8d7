import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cutRelease, withVersion } from './next-version.ts';

// `npm run release -- 0.2.0`: gives every workspace the version and cuts the changelog. Commits, tags and publishes nothing: it
// says how.

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const version = process.argv[2] ?? '';
if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) {
  console.error('release takes a version, such as: npm run release -- 0.2.0');
  process.exit(2);
}

const edit = (file: string, change: (text: string) => string): void => {
  const path = join(root, file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
};
const date = new Date().toISOString().slice(0, 10);
edit('CHANGELOG.md', (text) => cutRelease(text, version, date));
for (const file of ['package.json', ...globSync('{apps,packages}/*/package.json', { cwd: root })]) {
  edit(file, (text) => withVersion(text, version));
}
for (const file of ['benchmarks/package.json', 'ops/package.json'])
  edit(file, (text) => withVersion(text, version));
execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts'], { cwd: root, stdio: 'inherit' });
console.log(`
${version} is in the manifests, the lock file and CHANGELOG.md. What is left (CONTRIBUTING.md):
  npm run check && npm test
  git commit -am 'all: release ${version}' && git tag -s v${version}
`);
