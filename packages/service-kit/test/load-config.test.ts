import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ConfigError,
  createAuthoritiesReader,
  type LoadConfigOptions,
  loadConfig,
  readAuthorities,
  readProxy,
  type ServiceConfig,
} from '../src/index.ts';

let folder: string;
let authorityPem: string;

beforeAll(async () => {
  authorityPem = (await TestAuthority.create()).certificatePem;
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-kit-'));
  for (const name of ['shop.p12', 'shop.pem', 'shop-key.pem', 'AuthKey.p8', 'ca.pem', 'passphrase']) {
    await writeFile(join(folder, name), name === 'ca.pem' ? authorityPem : 'content');
  }
});
afterEach(async () => rm(folder, { recursive: true }));

async function load(
  file: string,
  env: NodeJS.ProcessEnv = {},
  options: Partial<LoadConfigOptions> = {},
): Promise<ServiceConfig> {
  const path = join(folder, 'pushfleet.yaml');
  await writeFile(path, file);
  return loadConfig(
    { REDIS_URL: 'redis://localhost:6379', PUSHFLEET_CONFIG: path, ...env },
    { service: 'worker', ...options },
  );
}

async function problemsOf(loading: Promise<ServiceConfig>): Promise<string[]> {
  const error = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw new Error(`No ConfigError but ${String(error)}`);
  for (const { field, message } of error.problems) expect(error.message).toContain(`${field}: ${message}`);
  return error.problems.map(({ field, message }) => `${field}: ${message}`);
}

const binaryApp = `
    topic: com.example.shop
    environment: production
    transport: binary
    credential: { p12: ./shop.p12, passphraseFile: passphrase }`;
const tokenApp = `
    topic: com.example.shop
    environment: sandbox
    transport: http2
    credential: { p8: ./AuthKey.p8, keyId: ABC1234567, teamId: DEF1234567 }`;

test('an app that says only what it must has the rest filled in, Apple’s hosts among it', async () => {
  const { apps } = await load(`apps:\n  shop-prod:${binaryApp}\n`);
  expect(apps).toEqual([
    {
      id: 'shop-prod',
      topic: 'com.example.shop',
      environment: 'production',
      transport: 'binary',
      gateway: { host: 'gateway.push.apple.com', port: 2195, ca: undefined },
      feedback: { host: 'feedback.push.apple.com', port: 2196, ca: undefined, intervalMs: 3_600_000 },
      credential: { p12: join(folder, 'shop.p12'), passphraseFile: join(folder, 'passphrase') },
      commandVersion: 2,
      connections: 2,
      leastConnections: 1,
      onUncertain: 'resend',
      confirm: 'presumed',
      confirmAfterMs: 1_000,
      window: 1_000_000,
      streams: 2_000,
      attempts: 5,
      retryForMs: 86_400_000,
      shutdownIdentifier: 'last-sent',
      connectsPerMinute: 600,
      breaker: { rate: 0.5, minimum: 1_000, windowMs: 60_000 },
      deadLetters: { ageMs: 30 * 86_400_000, bytes: 256 * 1024 * 1024 },
    },
  ]);
});

test.each([
  ['production', 'binary', 'gateway.push.apple.com', 2195],
  ['sandbox', 'binary', 'gateway.sandbox.push.apple.com', 2195],
  ['production', 'http2', 'api.push.apple.com', 443],
  ['sandbox', 'http2', 'api.sandbox.push.apple.com', 443],
])('the gateway of %s over %s is Apple’s', async (environment, transport, host, port) => {
  const { apps } = await load(`apps:
  a: { topic: t, environment: ${environment}, transport: ${transport}, credential: { cert: shop.pem, key: shop-key.pem } }`);
  expect(apps[0]!.gateway).toEqual({ host, port, ca: undefined });
});

test('a proxy on the way to the gateway keeps its credential in a file', async () => {
  const { apps } = await load(`apps:
  shop:${tokenApp}
    proxy: { host: proxy.example.com, port: 3128, credentialFile: passphrase }`);
  expect(apps[0]!.proxy).toEqual({
    host: 'proxy.example.com',
    port: 3_128,
    credentialFile: join(folder, 'passphrase'),
  });
  const problems = problemsOf(
    load(`apps:
  there:${binaryApp}
    proxy: { host: proxy.example.com, port: 3128 }`),
  );
  expect(await problems).toEqual([
    expect.stringMatching(/^apps\.there\.proxy: is for the http2 transport only$/),
  ]);
});

test('how much may be in flight on HTTP/2 is a setting, and less by default than on binary', async () => {
  const { apps } = await load(`apps:
  usual:${tokenApp}
  wide:${tokenApp}
    streams: 4000
    window: 50000`);
  expect(apps).toMatchObject([
    { streams: 2_000, window: 20_000 },
    { streams: 4_000, window: 50_000 },
  ]);
});

test('HTTP/2 has no feedback service', async () => {
  const { apps } = await load(`apps:\n  shop:${tokenApp}`);
  expect(apps[0]!.feedback).toBeUndefined();
});

test('the certificate of a private gateway is not shown to Apple’s feedback service', async () => {
  const gateway = 'gateway: { host: push.example.com, port: 2195, ca: ca.pem }';
  const { apps } = await load(`apps:
  without:${binaryApp}
    ${gateway}
  with:${binaryApp}
    ${gateway}
    feedback: { interval: 10m }`);
  expect(apps[0]!.feedback).toBeUndefined();
  expect(apps[1]!.feedback).toEqual({
    host: 'push.example.com',
    port: 2196,
    ca: join(folder, 'ca.pem'),
    intervalMs: 600_000,
  });
});

test('every problem of the file and the environment is said at once, by its path', async () => {
  const problems = await problemsOf(
    load(
      `apps:
  Shop:${binaryApp}
  typed:
    environment: prod
    transport: binary
    gateway: { host: '', port: 70000 }
    credential: { p12: ./shop.p12, passphrase: secret }
    commandVersion: 3
    connections: 1.5
    confirmAfter: soon
    colour: red
  both:${binaryApp.replace('{', '{ cert: shop.pem,')}
  Both Wrong:
    credential: { p12: ./gone.p12, passphraseFile: 7 }
    gateway: { ca: ./gone.pem }
  none: 5
colour: red
`,
      { PUSHFLEET_ADMIN_PORT: '70000', PUSHFLEET_DRAIN_TIMEOUT: 'long', PUSHFLEET_LOG_LEVEL: 'loud' },
    ),
  );
  expect(problems.toSorted()).toEqual(
    [
      'PUSHFLEET_ADMIN_PORT: must be at most 65535, such as 9100, not "70000"',
      'PUSHFLEET_DRAIN_TIMEOUT: must be a duration such as 500ms, 30s, 10m, 1h or 1d, not "long"',
      'PUSHFLEET_LOG_LEVEL: must be trace or debug or info or warn or error or fatal or silent, such as info, not "loud"',
      'apps.Both Wrong: as a name, must be 1 to 63 characters of a-z, 0-9 and -, and not begin with -',
      'apps.Both Wrong.credential.passphraseFile: must be text',
      'apps.Both Wrong.environment: is missing, such as production',
      `apps.Both Wrong.gateway.ca: names a file that does not exist: ${join(folder, 'gone.pem')}`,
      'apps.Both Wrong.gateway.host: is missing, such as gateway.example.com',
      'apps.Both Wrong.gateway.port: is missing, such as 443',
      'apps.Both Wrong.topic: is missing, such as com.example.shop',
      'apps.Both Wrong.transport: is missing, such as http2',
      'apps.Shop: as a name, must be 1 to 63 characters of a-z, 0-9 and -, and not begin with -',
      'apps.both.credential: must have exactly one of p12, cert (with key), p8',
      'apps.none: must be a mapping',
      'apps.typed.colour: is not a known setting: docs/settings.md lists them all',
      'apps.typed.commandVersion: must be 0 or 1 or 2, not 3',
      'apps.typed.confirmAfter: must be a duration such as 500ms, 30s, 10m, 1h or 1d, not "soon"',
      'apps.typed.connections: must be a whole number, not 1.5',
      'apps.typed.credential.passphrase: is not a known setting: did you mean passphraseFile or passphraseEnv?',
      'apps.typed.environment: must be production or sandbox, not "prod"',
      'apps.typed.gateway.host: must not be empty',
      'apps.typed.gateway.port: must be at most 65535, not 70000',
      'apps.typed.topic: is missing, such as com.example.shop',
      'colour: is not a known setting: settings stand below apps.NAME',
    ].toSorted(),
  );
});

test('a misspelt setting is told together with the one that was meant', async () => {
  const problems = await problemsOf(
    load(`apps:
  shop:
    topic: com.example.shop
    enviroment: production
    transprot: binary
    conections: 2
    ca: ./ca.pem
    gatway: { host: localhost, port: 2195 }
    credential: { p8: ./AuthKey.p8, key_id: ABC1234567, teamid: DEF1234567 }
    dead-letters: { keepfor: 1d }
    breaker: { ratio: 0.2 }
  key:
    topic: com.example.shop
    environment: production
    transport: http2
    credential: { p8: ./AuthKey.p8, keyId: ABC, teamId: DEF1234567 }
`),
  );
  expect(problems).toEqual(
    expect.arrayContaining([
      'apps.shop.enviroment: is not a known setting: did you mean environment?',
      'apps.shop.transprot: is not a known setting: did you mean transport?',
      'apps.shop.conections: is not a known setting: did you mean connections?',
      'apps.shop.ca: is not a known setting: did you mean gateway.ca?',
      'apps.shop.gatway: is not a known setting: did you mean gateway?',
      'apps.shop.credential.key_id: is not a known setting: did you mean keyId?',
      'apps.shop.credential.teamid: is not a known setting: did you mean teamId?',
      'apps.shop.dead-letters: is not a known setting: did you mean deadLetters?',
      'apps.shop.breaker.ratio: is not a known setting: there are rate, minimum, window',
      'apps.shop.environment: is missing, such as production',
      'apps.shop.credential.keyId: is missing, such as ABC1234567',
      'apps.key.credential.keyId: must be 10 characters long',
    ]),
  );
  expect(await problemsOf(load('app:\n  shop: {}\n'))).toEqual([
    'apps: is missing',
    'app: is not a known setting: did you mean apps?',
  ]);
  expect(await problemsOf(load('topic: com.example.shop\n'))).toEqual([
    'apps: is missing',
    'topic: is not a known setting: settings stand below apps.NAME',
  ]);
});

test('what only does not fit together is found too', async () => {
  const problems = await problemsOf(
    load(`apps:
  binary:${tokenApp.replace('http2', 'binary')}
  http2:${tokenApp}
    commandVersion: 1
    feedback: {}
    connectsPerMinute: 60
  narrow:${tokenApp}
    window: 1000
    streams: 1001
  many:${tokenApp}
    streams: 20001
  unary:${binaryApp}
    streams: 100
  missing:${binaryApp.replaceAll('shop.p12', 'gone.p12').replace('passphraseFile: passphrase', 'passphraseEnv: GONE')}
    gateway: { host: push.example.com, port: 2195, ca: gone.pem }
  silent:${binaryApp}
    commandVersion: 0
    confirm: proved
`),
  );
  expect(problems).toEqual([
    'apps.binary.credential.p8: is for http2 only: the binary protocol needs a certificate (p12, or cert and key)',
    'apps.http2.commandVersion: is for the binary transport only',
    'apps.http2.feedback: is for the binary transport only',
    'apps.http2.connectsPerMinute: is for the binary transport only',
    'apps.narrow.streams: must be at most the window, 1000: more would never be used',
    'apps.many.streams: must be at most the window, 20000: more would never be used',
    'apps.unary.streams: is for the http2 transport only',
    `apps.missing.gateway.ca: names a file that does not exist: ${join(folder, 'gone.pem')}`,
    'apps.silent.confirm: proved needs commandVersion 1 or 2: command 0 has no answers that could prove anything',
  ]);
});

test('a credential that is not there stops its app, and is no problem of the configuration', async () => {
  const { apps } = await load(`apps:
  shop:${binaryApp.replace('shop.p12', 'gone.p12')}
  late:${binaryApp.replace('passphraseFile: passphrase', 'passphraseEnv: GONE')}`);
  expect(apps.map(({ id }) => id)).toEqual(['shop', 'late']);
});

describe('a file that', () => {
  test('is no YAML is refused with line and column', async () => {
    const [problem] = await problemsOf(load('apps:\n  shop: { topic: [\n'));
    expect(problem).toMatch(/pushfleet\.yaml: .*at line 3/s);
  });
  test('names an app twice is refused', async () => {
    const [problem] = await problemsOf(load('apps:\n  a: {}\n  a: {}\n'));
    expect(problem).toContain('Map keys must be unique at line 3, column 3');
  });
  test.each([
    ['', 'the file: must be a mapping'],
    ['[]', 'the file: must be a mapping'],
    ['{}', 'apps: is missing'],
    ['apps: {}', 'apps: must name at least one app'],
  ])('says %j is refused', async (file, expected) => {
    expect(await problemsOf(load(file))).toEqual([expected]);
  });
  test('does not exist is refused by its name', async () => {
    const [problem] = await problemsOf(load('', { PUSHFLEET_CONFIG: join(folder, 'gone.yaml') }));
    expect(problem).toContain(`PUSHFLEET_CONFIG: ${join(folder, 'gone.yaml')} cannot be read: ENOENT`);
  });
});

describe('a secret', () => {
  const file = `apps:\n  shop:${binaryApp}`;
  test('comes from the file that its variable names', async () => {
    await writeFile(join(folder, 'url'), 'redis://:secret@redis:6379\n');
    const config = await load(file, { REDIS_URL: '', REDIS_URL_FILE: join(folder, 'url') });
    expect(config.redisUrl).toBe('redis://:secret@redis:6379');
  });
  test('is asked for only where it is needed', async () => {
    expect((await load(file)).databaseUrl).toBeUndefined();
    expect(await problemsOf(load(file, {}, { database: true }))).toEqual([
      'DATABASE_URL: is missing (or DATABASE_URL_FILE, which names a file), such as postgres://pushfleet_producer:password@127.0.0.1:5432/pushfleet',
    ]);
  });
  test('is never shown, and not taken from two places', async () => {
    const problems = await problemsOf(
      load(
        file,
        { REDIS_URL: 'http://:hunter2@redis', DATABASE_URL: 'x', DATABASE_URL_FILE: 'y' },
        { database: true },
      ),
    );
    expect(problems).toEqual([
      expect.stringMatching(
        /^REDIS_URL: must be a URL that begins with redis:\/\/ or rediss:\/\/ or redis\+cluster:/,
      ),
      'DATABASE_URL: is set, and so is DATABASE_URL_FILE: only one of them may be',
    ]);
  });
  test('in a file that is not there is a problem of the file’s variable', async () => {
    const [problem] = await problemsOf(load(file, { REDIS_URL: undefined, REDIS_URL_FILE: '/nowhere/url' }));
    expect(problem).toMatch(/^REDIS_URL_FILE: cannot be read: ENOENT/);
  });
});

test('the environment’s defaults are the service’s own', async () => {
  const config = await load(`apps:\n  shop:${binaryApp}`, { PUSHFLEET_DRAIN_TIMEOUT: '1.5s' });
  expect(config).toMatchObject({
    redisPrefix: 'pushfleet',
    logLevel: 'info',
    listen: { host: '127.0.0.1', port: 8080 },
    admin: { host: '127.0.0.1', port: 9101 },
    drainTimeoutMs: 1_500,
  });
});

describe('the authorities of a gateway', () => {
  const withCa = (name: string) => `apps:
  shop:${binaryApp}
    gateway: { host: push.example.com, port: 2195, ca: ${name} }`;

  const refused: [string, string | Buffer, RegExp][] = [
    ['nothing', '', /names a file that is empty: .*odd\.pem$/],
    ['line ends alone', '\n\r\n', /names a file that is empty: .*odd\.pem$/],
    ['no certificate', 'content', /holds no certificate, or a damaged one: .*odd\.pem$/],
    [
      'a damaged one',
      '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
      /a damaged one: .*odd\.pem$/,
    ],
  ];
  test.each(refused)('%s in the file is refused at the start', async (_, content, expected) => {
    await writeFile(join(folder, 'odd.pem'), content);
    expect(await problemsOf(load(withCa('odd.pem')))).toEqual([
      expect.stringMatching(new RegExp(`^apps\\.shop\\.gateway\\.ca: .*${expected.source}`)),
    ]);
  });

  test('a folder is refused', async () => {
    expect(await problemsOf(load(withCa('.')))).toEqual([expect.stringMatching(/cannot be read \(EISDIR\)/)]);
  });

  test('DER is taken, and several in PEM with text between them', async () => {
    const { raw } = new X509Certificate(authorityPem);
    await writeFile(join(folder, 'ca.cer'), raw);
    expect((await load(withCa('ca.cer'))).apps).toHaveLength(1);
    expect(readAuthorities(join(folder, 'ca.cer'))).toBe(new X509Certificate(authorityPem).toString());
    await writeFile(join(folder, 'two.pem'), `# First\r\n${authorityPem}\n# Second\n${authorityPem}`);
    expect(readAuthorities(join(folder, 'two.pem')).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  test('are read anew, and stay as they were while the file cannot be used', async () => {
    const path = join(folder, 'ca.pem');
    const read = createAuthoritiesReader(path);
    const first = new X509Certificate(authorityPem).toString();
    expect(read()).toBe(first);
    await writeFile(path, '');
    expect(read()).toBe(first);
    const renewed = (await TestAuthority.create()).certificatePem;
    await writeFile(path, renewed);
    expect(read()).toBe(new X509Certificate(renewed).toString());
    await rm(path);
    expect(read()).toBe(new X509Certificate(renewed).toString());
  });
});

test('the credential of a proxy is read anew, and stays as it was while its file is away', async () => {
  const credentialFile = join(folder, 'passphrase');
  await writeFile(credentialFile, '\ufeffuser:one\r\n');
  const proxy = readProxy({ host: 'proxy.example.com', port: 3_128, credentialFile });
  // user:one, user:two in base64.
  expect(proxy.authorization).toBe('Basic dXNlcjpvbmU=');
  await writeFile(credentialFile, 'user:two\n');
  expect(proxy.authorization).toBe('Basic dXNlcjp0d28=');
  await rm(credentialFile);
  expect(proxy.authorization).toBe('Basic dXNlcjp0d28=');
  expect(() => readProxy({ host: 'proxy.example.com', port: 3_128, credentialFile })).toThrow(/ENOENT/);
});

test('the authorities of the system are trusted besides those of Node.js', async () => {
  const bundle = join(folder, 'system.pem');
  await writeFile(bundle, authorityPem);
  const program = `
    import { getCACertificates } from 'node:tls';
    import { trustSystemAuthorities } from '${new URL('../src/trust-system-authorities.ts', import.meta.url).href}';
    trustSystemAuthorities();
    const trusted = getCACertificates('default').map((pem) => pem.replace(/\\s/g, ''));
    const own = process.env.OWN.replace(/\\s/g, '');
    process.stdout.write(JSON.stringify([trusted.includes(own), trusted.length > 100]));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, SSL_CERT_FILE: bundle, SSL_CERT_DIR: folder, OWN: authorityPem },
  });
  expect(JSON.parse(stdout)).toEqual([true, true]);
});

test.each([
  ['a space before the topic', "topic: ' com.example.shop'", 'topic'],
  ['a topic that is not ASCII', 'topic: com.exämple', 'topic'],
  ['a topic with a line break', 'topic: "com.example\\nshop"', 'topic'],
])('%s could be no header, and is refused at the start', async (_name, topic, field) => {
  const app = binaryApp.replace('topic: com.example.shop', topic);
  const problems = await problemsOf(load(`apps:\n  shop:${app}\n`));
  expect(problems).toEqual([
    expect.stringMatching(`^apps.shop.${field}: must be visible characters of ASCII without spaces, not "`),
  ]);
});
