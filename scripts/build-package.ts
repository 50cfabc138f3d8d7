import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Makes of the workspace it is run in what can be published: JavaScript and declarations under dist, and a manifest
// that names them. docs/decisions/0043-published-packages.md says why.

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = process.cwd();
const dist = join(folder, 'dist');
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: folder, stdio: 'inherit' });

// Scripts of Redis are read from beside the code that runs them.
for (const file of globSync('**/*.lua', { cwd: join(folder, 'src') })) {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  copyFileSync(join(folder, 'src', file), join(dist, file));
}

// The compiler rewrites imports in what runs, and leaves them in declarations.
for (const file of globSync('**/*.d.ts', { cwd: dist })) {
  const path = join(dist, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replaceAll(/((?:from|import)\s*\(?\s*['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'));
}

const { name, version, description, license, engines, dependencies = {} } = manifest;
const entry = (source: string) => {
  const path = source.replace('./src/', './').replace(/\.ts$/, '');
  return { types: `${path}.d.ts`, default: `${path}.js` };
};
const published = {
  ...{ name, version, description, license },
  type: 'module',
  sideEffects: false,
  engines,
  exports: Object.fromEntries(Object.entries(manifest.exports).map(([key, source]) => [key, entry(source)])),
  dependencies,
};
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
copyFileSync(join(root, 'LICENSE'), join(dist, 'LICENSE'));
copyFileSync(join(folder, 'README.md'), join(dist, 'README.md'));
