import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureRedis, findRedis } from '../setup/redis.mjs';

let root: string;
let programs: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pushfleet-test-'));
  programs = join(root, 'programs');
  mkdirSync(programs);
  for (const name of ['sh', 'chmod', 'mkdir']) symlinkSync(`/bin/${name}`, join(programs, name));
  env = { PATH: programs, PUSHFLEET_TEST_SERVICES: 'programs' };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function program(name: string, script: string): void {
  const path = join(programs, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

const server = 'echo "Redis server v=8.0.0"';

test('a Redis on the PATH is taken, and nothing is fetched', async () => {
  program('redis-server', server);
  expect(findRedis(root, env)).toBe(join(programs, 'redis-server'));
  await ensureRedis(root, env);
  expect(existsSync(join(root, '.pushfleet'))).toBe(false);
});

test("Debian's program is taken under the server's name where the package lies unpacked", () => {
  program('redis-check-rdb', server);
  expect(findRedis(root, env)).toBe(join(root, '.pushfleet', 'bin', 'redis-server'));
});

test('a server that REDIS_URL names needs no program', async () => {
  await ensureRedis(root, { ...env, REDIS_URL: 'redis://elsewhere' });
  expect(existsSync(join(root, '.pushfleet'))).toBe(false);
});

test("the distribution's package is unpacked without root, and then found", async () => {
  program('apt-get', 'case "$2" in redis-tools) echo package > redis-tools.deb ;; *) exit 100 ;; esac');
  // dpkg -x FILE FOLDER
  program(
    'dpkg',
    `mkdir -p "$3/usr/bin" && printf '#!/bin/sh\\n${server}\\n' > "$3/usr/bin/redis-check-rdb" && chmod 755 "$3/usr/bin/redis-check-rdb"`,
  );
  await ensureRedis(root, env);
  expect(findRedis(root, { PATH: '/nowhere' })).toBe(join(root, '.pushfleet', 'bin', 'redis-server'));
});

test.each([
  ['apt-get', /sudo apt-get install redis-server/],
  ['dnf', /sudo dnf install valkey/],
  ['brew', /brew install redis/],
  ['nothing', /install redis-server or valkey-server/],
])('where there is no way, with %s, the command to run is told', async (manager, command) => {
  program(manager, 'echo "no network" >&2; exit 100');
  if (manager === 'apt-get') program('dpkg', 'exit 1');
  await expect(ensureRedis(root, env)).rejects.toMatchObject({
    message: expect.stringMatching(manager === 'apt-get' ? /not found \(no network\)/ : /not found/),
    advice: [expect.stringMatching(command), expect.stringContaining('REDIS_URL')],
  });
  expect(findRedis(root, env)).toBeUndefined();
});
