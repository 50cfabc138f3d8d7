import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cutRelease, withVersion } from '../release/next-version.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const manifests = [
  'package.json',
  ...globSync('{apps,packages,benchmarks,ops}/**/package.json', { cwd: root }),
].filter((file) => !/node_modules|dist/.test(file));

test('a release gives every workspace its version, and each other', () => {
  for (const file of manifests) {
    const text = readFileSync(join(root, file), 'utf8');
    const { version, dependencies, devDependencies } = JSON.parse(withVersion(text, '9.8.7'));
    expect(version, file).toBe('9.8.7');
    const named = Object.entries({ ...dependencies, ...devDependencies }).filter(([name]) =>
      name.startsWith('@pushfleet/'),
    );
    expect(new Set(named.map(([, wanted]) => wanted)).size, file).toBe(named.length === 0 ? 0 : 1);
  }
});

test('nothing else of a manifest changes', () => {
  for (const file of manifests) {
    const text = readFileSync(join(root, file), 'utf8');
    expect(withVersion(text, JSON.parse(text).version)).toBe(text);
  }
});

const changelog =
  '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-01\n\n- All.\n';

test('what is unreleased becomes the release, and an empty heading is left', () => {
  expect(cutRelease(changelog, '0.2.0', '2026-02-02')).toBe(
    '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-02\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-01\n\n- All.\n',
  );
});

test.each([
  ['a release of nothing', cutRelease(changelog, '0.2.0', '2026-02-02'), '0.3.0', 'nothing is under'],
  ['a release that is there', changelog, '0.1.0', 'is there already'],
  ['no heading', '# Changelog\n', '0.2.0', 'no heading'],
])('%s is refused', (_name, text, version, message) => {
  expect(() => cutRelease(text, version, '2026-03-03')).toThrow(message);
});

test('the changelog of the repository can be cut', () => {
  expect(cutRelease(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), '99.0.0', '2099-01-01')).toContain(
    '## [99.0.0] - 2099-01-01',
  );
});
