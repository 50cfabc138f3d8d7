import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { postgresImage, redisImage } from '@pushfleet/testkit';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const dockerfile = read('Dockerfile');
const compose = read('docker-compose.yml');

/** `name:tag@sha256:…`, as a default of a variable. */
const pinned = /\$\{(PUSHFLEET_\w+_IMAGE):-([\w./-]+:[\w.-]+)@sha256:[0-9a-f]{64}\}/g;

describe('images and actions that are not ours', () => {
  const pins = [...compose.matchAll(pinned)].map(([, variable, image]) => [variable!, image!] as const);

  test('are pinned by digest, and by commit', () => {
    const images = [...compose.matchAll(/^\s*(?:image|NODE_IMAGE): (\S+)$/gm)].map(([, image]) => image!);
    const ours = /^pushfleet(?:-simulator)?:/;
    expect(images.filter((image) => !ours.test(image) && !image.match(pinned))).toEqual([]);
    expect(dockerfile).toMatch(/^ARG NODE_IMAGE=[\w.-]+:[\w.-]+@sha256:[0-9a-f]{64}$/m);
    expect(dockerfile.match(/^FROM (?!\$\{NODE_IMAGE\}|manifests|base)/m)).toBeNull();
    const actions = globSync('.github/workflows/*.yml', { cwd: root }).flatMap((file) =>
      [...read(file).matchAll(/uses: (.+)$/gm)].map(([, action]) => action!),
    );
    expect(actions.length).toBeGreaterThan(0);
    expect(actions.filter((action) => !/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([]);
  });

  test('have the same digest wherever they stand', () => {
    const [, base] = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile)!;
    expect(compose).toContain(`\${PUSHFLEET_NODE_IMAGE:-${base}}`);
  });

  test('can be replaced by local ones of the same tags, and tests in containers use these', () => {
    const local = Object.fromEntries(
      [...read('deploy/compose/local-images.env').matchAll(/^(\w+)=(.+)$/gm)].map(([, name, image]) => [
        name,
        image,
      ]),
    );
    expect(local).toEqual(Object.fromEntries(pins));
    expect(Object.values(local)).toEqual(expect.arrayContaining([redisImage, postgresImage]));
  });
});

test('the image is built with the manifest of every workspace', () => {
  const manifests = globSync('{apps,packages}/*/package.json', { cwd: root }).concat(
    globSync('{benchmarks,ops}/package.json', { cwd: root }),
  );
  const missing = manifests.filter((file) => !dockerfile.includes(`COPY ${file} ${dirname(file)}/\n`));
  expect(missing).toEqual([]);
});

describe('the runtime image', () => {
  const runtime = dockerfile.slice(dockerfile.indexOf('FROM base AS runtime'));
  const services = ['apps/cli', 'apps/feedback-sweeper', 'apps/producer', 'apps/worker'];

  /** The workspaces that these need when they run, themselves included. */
  function needed(folders: readonly string[]): string[] {
    const found = new Set<string>();
    const visit = (folder: string) => {
      if (found.has(folder)) return;
      found.add(folder);
      const { dependencies = {} } = JSON.parse(read(`${folder}/package.json`)) as {
        readonly dependencies?: Readonly<Record<string, string>>;
      };
      for (const name of Object.keys(dependencies)) {
        if (name.startsWith('@pushfleet/')) visit(name.replace('@pushfleet', 'packages'));
      }
    };
    for (const folder of folders) visit(folder);
    return [...found].toSorted();
  }

  const copied = (stage: string) =>
    [...stage.matchAll(/^COPY ((?:apps|packages)\/[\w-]+)\/ \1\/$/gm)]
      .map(([, folder]) => folder!)
      .toSorted();

  test('holds the services, the commands and what they import, and no simulator or test kit', () => {
    expect(copied(runtime)).toEqual(needed(services));
    expect(copied(runtime).join()).not.toMatch(/simulator|testkit|benchmarks|ops/);
    const simulator = dockerfile.slice(
      dockerfile.indexOf('FROM base AS simulator'),
      dockerfile.indexOf('FROM base AS runtime'),
    );
    expect(copied(simulator)).toEqual(needed(['apps/gateway-simulator']));
  });

  test('is built without tests, documents, secrets and settings of development', () => {
    const ignored = read('.dockerignore').split('\n');
    expect(ignored).toEqual(
      expect.arrayContaining([
        '.git',
        '**/node_modules',
        '**/test',
        '**/tsconfig*.json',
        '**/vitest.config.ts',
        '**/*.p8',
        '**/*.pem',
        '.env',
        'docs/*',
        'deploy',
      ]),
    );
    expect(dockerfile.match(/npm ci .*/g)!.every((line) => line.includes('--omit=dev'))).toBe(true);
  });

  test('runs as node, in either image', () => {
    expect(dockerfile.match(/^USER node$/gm)).toHaveLength(2);
  });

  test.skipIf(!hasLocalImages())(
    'holds nothing else when it has been built',
    () => {
      const build = (target: string) =>
        docker(
          'build',
          '--quiet',
          '--target',
          target,
          '--build-arg',
          'NODE_IMAGE=node:24-bookworm-slim',
          root,
        );
      const files = (image: string) =>
        docker(
          'run',
          '--rm',
          '--network=none',
          '--entrypoint=sh',
          image,
          '-c',
          'find /srv/pushfleet -type f -o -type l; find /srv -xtype l -printf "dangling %p\\n"',
        ).split('\n');
      const runtimeFiles = files(build('runtime'));
      expect(runtimeFiles).toContain('/srv/pushfleet/apps/worker/src/main.ts');
      expect(runtimeFiles).toContain('/srv/pushfleet/packages/push-queue/src/redis/scripts/report.lua');
      expect(
        runtimeFiles.filter((path) =>
          /^dangling|gateway-simulator|testkit|\/(?:apps|packages)\/[\w-]+\/(?:test|dist)\/|\.test\.ts$|node_modules\/(?:vitest|typescript|turbo|knip|fast-check|@biomejs)\//.test(
            path,
          ),
        ),
      ).toEqual([]);
      expect(files(build('simulator')).join()).not.toMatch(/apps\/(?:producer|worker|cli)\/src|dangling/);
    },
    600_000,
  );
});

function docker(...args: readonly string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** An engine, and a base without which nothing can be built: none is fetched here. */
function hasLocalImages(): boolean {
  try {
    docker('image', 'inspect', 'node:24-bookworm-slim');
    return true;
  } catch {
    return false;
  }
}
