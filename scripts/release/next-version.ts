// What a release changes in the repository's own files, as text in and text out. All workspaces have one version.

interface Manifest {
  version?: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

/** The manifest with `version`, and with it for every workspace that it names. */
export function withVersion(manifest: string, version: string): string {
  const parsed = JSON.parse(manifest) as Manifest;
  if (parsed.version !== undefined) parsed.version = version;
  for (const names of [parsed.dependencies, parsed.devDependencies]) {
    for (const name of Object.keys(names ?? {})) if (name.startsWith('@pushfleet/')) names![name] = version;
  }
  return `${JSON.stringify(parsed, null, 2)}\n`;
}

/**
 * The changelog with what is under `[Unreleased]` as a release.
 * @throws Error where nothing is, or the release is there already
 */
export function cutRelease(changelog: string, version: string, date: string): string {
  const heading = '## [Unreleased]\n';
  const start = changelog.indexOf(heading);
  if (start < 0) throw new Error('CHANGELOG.md: has no heading [Unreleased]');
  if (changelog.includes(`\n## [${version}]`)) throw new Error(`CHANGELOG.md: ${version} is there already`);
  const from = start + heading.length;
  const next = changelog.indexOf('\n## ', from);
  const entries = changelog.slice(from, next < 0 ? undefined : next).trim();
  if (!entries.includes('\n- ')) throw new Error('CHANGELOG.md: nothing is under [Unreleased]');
  return `${changelog.slice(0, from)}\n## [${version}] - ${date}\n${changelog.slice(from)}`;
}
