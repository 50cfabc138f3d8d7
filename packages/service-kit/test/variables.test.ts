import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import {
  ConfigError,
  loadConfig,
  nearestName,
  readVariables,
  unknownVariables,
  type Variable,
  variables,
} from '../src/index.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test.each(Object.entries(variables as Readonly<Record<string, Variable>>))(
  '%s takes its own example and its own default',
  (name, variable) => {
    const isUrl = name.endsWith('_URL');
    const { problems } = readVariables({ [name]: variable.example }, { [name]: variable });
    expect(problems).toEqual([]);
    const unset = readVariables({}, { [name]: variable });
    const mayBeMissing = variable.byDefault !== undefined || variable.schema.safeParse(undefined).success;
    if (!isUrl && mayBeMissing) expect(unset.problems).toEqual([]);
  },
);

test('every variable that a source, compose or a manifest reads is in the table', () => {
  const files = globSync(
    [
      '{apps,packages,benchmarks,scripts,examples}/**/*.{ts,mjs}',
      'docker-compose.yml',
      '.env.example',
      'Dockerfile',
      'deploy/**/*.{yaml,service,env}',
    ],
    { cwd: root, exclude: ['**/node_modules/**', '**/dist/**', '**/test/**'] },
  );
  const known = Object.entries(variables as Readonly<Record<string, Variable>>).flatMap(
    ([name, { isSecret }]) => (isSecret ? [name, `${name}_FILE`] : [name]),
  );
  const read = new Set(
    files.flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/\bPUSHFLEET_[A-Z][A-Z_]*[A-Z]\b/g)].map(
        ([name]) => name,
      ),
    ),
  );
  // Examples of what Kubernetes sets.
  read.delete('PUSHFLEET_PRODUCER_SERVICE_HOST');
  expect([...read].filter((name) => !known.includes(name))).toEqual([]);
});

test.each([
  ['PUSHFLEET_RETENTION_BATCH', '40d', 'did you mean PUSHFLEET_RETENTION_BATCHES?'],
  ['PUSHFLEET_LOGLEVEL', 'info', 'did you mean PUSHFLEET_LOG_LEVEL?'],
  ['PUSHFLEET_ADMIN_PROT', '9100', 'did you mean PUSHFLEET_ADMIN_PORT?'],
  ['PUSHFLEET_BOARD_KEY_FIL', '/run/key', 'did you mean PUSHFLEET_BOARD_KEY_FILE?'],
  ['PUSHFLEET_SOMETHING_ELSE_ALTOGETHER', '1', 'docs/settings.md lists them all'],
])('%s is no variable, which is said with the one that was meant', (name, value, advice) => {
  expect(unknownVariables({ [name]: value, PATH: '/bin' })).toEqual([
    { field: name, message: `is not a variable of Pushfleet: ${advice}` },
  ]);
});

test("what Kubernetes sets for Services of the namespace is nobody's spelling error", () => {
  const env = {
    PUSHFLEET_PRODUCER_SERVICE_HOST: '10.0.0.1',
    PUSHFLEET_PRODUCER_SERVICE_PORT: '80',
    PUSHFLEET_PRODUCER_SERVICE_PORT_HTTP: '80',
    PUSHFLEET_PRODUCER_PORT: 'tcp://10.0.0.1:80',
    PUSHFLEET_PRODUCER_PORT_80_TCP: 'tcp://10.0.0.1:80',
    PUSHFLEET_PRODUCER_PORT_80_TCP_PROTO: 'tcp',
    PUSHFLEET_PRODUCER_PORT_80_TCP_ADDR: '10.0.0.1',
  };
  expect(unknownVariables(env)).toEqual([]);
});

test.each([
  ['PUSHFLEET_PORT', '80a', 'must be a port number, or 0 for a free one, such as 8080, not "80a"'],
  [
    'PUSHFLEET_PORT',
    'tcp://10.0.0.1:80',
    'must be a port number, or 0 for a free one, such as 8080, not "tcp://10.0.0.1:80" ' +
      '(Kubernetes sets it for a Service of that name: set enableServiceLinks to false)',
  ],
  [
    'PUSHFLEET_RATE_LIMIT',
    'ten',
    'must be a number of requests a second, or 0 for no limit, such as 100, not "ten"',
  ],
  [
    'PUSHFLEET_RETENTION_BATCHES',
    '30d',
    'must be at least 35d: sends are scheduled for up to 30 days, such as 90d, not "30d"',
  ],
  [
    'PUSHFLEET_TRUSTED_PROXIES',
    '10.0.0.0/33',
    'must be IP addresses or networks, parted by commas, such as 10.0.0.0/8,127.0.0.1, not "10.0.0.0/33"',
  ],
  // A secret is never shown.
  ['REDIS_URL', 'http://:hidden@redis', expect.not.stringContaining('hidden')],
] as const)('%s=%s is refused with a right value', (name, value, message) => {
  const { problems } = readVariables({ [name]: value }, { [name]: variables[name] });
  expect(problems).toEqual([{ field: name, message }]);
});

test('a service does not start with a variable that nobody obeys, unless pushfleet.yaml names it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-variables-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const path = join(folder, 'pushfleet.yaml');
  await writeFile(
    path,
    `apps:
  shop:
    topic: com.example.shop
    environment: production
    transport: http2
    credential: { p12: ./shop.p12, passphraseEnv: PUSHFLEET_SHOP_PASSPHRASE }
`,
  );
  const env = {
    REDIS_URL: 'redis://127.0.0.1:6379',
    PUSHFLEET_CONFIG: path,
    PUSHFLEET_SHOP_PASSPHRASE: 'secret',
  };
  expect((await loadConfig(env, { service: 'worker' })).apps).toHaveLength(1);
  const error = await loadConfig({ ...env, PUSHFLEET_DRAIN_TIMOUT: '5s' }, { service: 'worker' }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems).toEqual([
    {
      field: 'PUSHFLEET_DRAIN_TIMOUT',
      message: 'is not a variable of Pushfleet: did you mean PUSHFLEET_DRAIN_TIMEOUT?',
    },
  ]);
});

test('the nearest name is found by letters, and none that is another word', () => {
  const names = ['environment', 'transport', 'topic'];
  expect(nearestName('enviroment', names)).toBe('environment');
  expect(nearestName('trasnport', names)).toBe('transport');
  expect(nearestName('tpoic', names)).toBe('topic');
  expect(nearestName('gateway', names)).toBeUndefined();
});
