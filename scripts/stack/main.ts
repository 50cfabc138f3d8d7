import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SimulatorControl } from '@pushfleet/testkit';
import { type Accounts, settleAccounts } from './accounts.ts';
import { parseStackArguments, type StackArguments, usage } from './arguments.ts';
import { ComposeStack } from './compose-stack.ts';
import { badTokenPrefix, Load, newToken } from './load.ts';
import { PrometheusClient } from './prometheus.ts';

// The compose stack, driven from outside as an operator would: `npm run stack`.

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const binaryApp = 'shop-prod';
const http2App = 'shop-http2';
const keyApp = 'shop-key';
const services = ['producer', 'worker', 'sweeper'] as const;
const adminPorts = { producer: 9100, worker: 9101, sweeper: 9102 } as const;

const rejection = {
  on: 'binary',
  match: { tokenPrefix: badTokenPrefix },
  action: { kind: 'reject', status: 8 },
};

const begunMs = Date.now();
const say = (line: string) =>
  process.stderr.write(`${((Date.now() - begunMs) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`);

interface StackResult extends Accounts {
  readonly gatewayReceivedUnique: number;
  readonly lost: number;
  readonly duplicates: number;
  /** By metrics alone, of all apps and lanes; undefined: no Prometheus. */
  readonly unaccountedByMetrics: number | undefined;
  readonly leftOut: readonly string[];
  readonly problems: readonly string[];
  readonly seconds: number;
}

async function run(stack: ComposeStack, { notifications }: StackArguments): Promise<StackResult> {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string) => {
    if (holds) return;
    problems.push(problem);
    say(`WRONG: ${problem}`);
  };

  const leftOut = await startServices(stack);
  const [api, control] = await Promise.all([stack.url('producer', 8080), stack.url('simulator', 2190)]);
  const simulator = new SimulatorControl(control);
  await simulator.faults({ rules: [rejection] });

  const { key } = JSON.parse(
    await stack.compose('run', '--rm', '-T', 'cli', 'keys', 'create', 'stack', '--scope', 'admin', '--json'),
  ) as { readonly key: string };
  const load = new Load(api, key);
  await load.ready();
  const registered = Array.from({ length: 100 }, (_, place) => newToken(place < 10));
  await load.registerDevices(binaryApp, registered);
  await load.sendTo(binaryApp, registered, 'transactional');
  await simulator.feedback(
    registered.slice(90).map((token) => ({ token, time: Math.floor(Date.now() / 1_000) + 60 })),
  );
  say(`registered ${registered.length} devices, sent to them, and had the feedback service name 10 of them`);

  const singles = new AbortController();
  const sending = Promise.all([
    load.sendBatches(binaryApp, Math.ceil(notifications / 2), 0.0005),
    load.sendBatches(http2App, Math.floor(notifications / 2), 0),
    load.sendSingles(binaryApp, 4, singles.signal, 0.005),
    load.sendSingles(http2App, 2, singles.signal),
    load.sendSingles(keyApp, 1, singles.signal),
  ]);
  sending.catch(() => undefined);
  await stack.compose('up', '-d', '--no-recreate', '--wait', '--scale', 'worker=3', 'worker');
  say(`scaled the workers to ${(await stack.containers('worker')).length}`);
  const [victim] = await stack.containers('worker');
  await stack.run('docker', ['kill', '--signal', 'KILL', victim!]);
  const { unique } = await simulator.ledger();
  say(`killed a worker in mid-stream: enqueued so far ${load.enqueued}, the gateway has ${unique}`);

  let unaccountedByMetrics: number | undefined;
  if (!leftOut.includes('prometheus')) {
    // Rates need two scrapes.
    await delay(20_000);
    await checkWhileBusy(stack, check);
  }
  singles.abort();
  await sending;
  say(`enqueued ${load.enqueued}, ${load.bad} of them to bad tokens`);
  const accounts = await settleAccounts(load, 600_000);
  say(`settled: ${JSON.stringify(accounts)}`);
  const { accepted, rejected, expired, cancelled, dead } = accounts;
  check(
    accounts.enqueued === load.enqueued && load.enqueued === accepted + rejected + expired + cancelled + dead,
    'enqueued is not the sum of the outcomes',
  );
  const ledger = await simulator.ledger();
  const lost = accepted - ledger.unique;
  check(lost <= 0, `${lost} were called accepted that the gateway never got`);
  check(rejected === load.bad, `${rejected} were rejected, and ${load.bad} tokens were bad`);
  if (!leftOut.includes('prometheus')) {
    unaccountedByMetrics = await checkByMetrics(stack, load.enqueued, check);
  }
  await checkStop(stack, check);
  return {
    ...accounts,
    gatewayReceivedUnique: ledger.unique,
    lost: Math.max(0, lost),
    duplicates: ledger.duplicates,
    unaccountedByMetrics,
    leftOut,
    problems,
    seconds: Math.round((Date.now() - begunMs) / 1_000),
  };
}

interface ConfiguredService {
  readonly image: string;
  readonly build?: { readonly args?: Readonly<Record<string, string>> };
}

/** Returns the services that had to be left out: images of the monitoring that cannot be had here. */
async function startServices(stack: ComposeStack): Promise<string[]> {
  await stack.run('sh', ['deploy/compose/create-secrets']);
  const config = JSON.parse(await stack.compose('config', '--format', 'json')) as {
    readonly services: Readonly<Record<string, ConfiguredService>>;
  };
  const leftOut: string[] = [];
  for (const [name, { image, build }] of Object.entries(config.services)) {
    const wanted = build?.args?.NODE_IMAGE ?? image;
    const found = await stack.findImage(wanted);
    if (found === undefined && build === undefined) {
      say(`${name} is left out: the image ${image} is not here and cannot be fetched`);
      leftOut.push(name);
    } else if (found !== undefined && found !== wanted) {
      say(`${name} takes the local image ${found}: the one with its digest cannot be fetched`);
      stack.set(`PUSHFLEET_${build === undefined ? name.toUpperCase() : 'NODE'}_IMAGE`, found);
    }
  }
  if (leftOut.some((name) => name === 'redis' || name === 'postgres')) {
    throw new Error(
      'Without images of Redis and Postgres there is no stack: docs/development.md says how to get them',
    );
  }
  await stack.compose('build', '--quiet', 'producer', 'simulator');
  say('built the images');
  const started = Object.keys(config.services).filter((name) => name !== 'cli' && !leftOut.includes(name));
  // Jobs end, which `--wait` takes for a failure: what waits for them is waited for.
  const waited = started.filter((name) => name !== 'migrate');
  await stack.compose('up', '-d', '--wait', '--no-build', ...waited);
  say(`up and healthy: ${waited.join(', ')}`);
  return leftOut;
}

type Check = (holds: boolean, problem: string) => void;

/** What needs load to show anything: dashboards, and the format of the metrics. */
async function checkWhileBusy(stack: ComposeStack, check: Check): Promise<void> {
  for (const service of services) {
    const fetching = `fetch('http://127.0.0.1:${adminPorts[service]}/metrics').then((r) => r.text()).then((t) => process.stdout.write(t))`;
    const metrics = await stack.compose('exec', '-T', service, 'node', '-e', fetching);
    const problem = await stack
      .run('docker', ['compose', 'exec', '-T', 'prometheus', 'promtool', 'check', 'metrics'], metrics)
      .then(
        () => undefined,
        (error: Error) => error.message,
      );
    check(problem === undefined, `promtool check metrics, of the ${service}: ${problem}`);
  }
  const child = spawn(
    process.execPath,
    ['ops/src/check-dashboards.ts', '--prometheus', await stack.url('prometheus', 9090)],
    { cwd: root, stdio: ['ignore', 2, 2] },
  );
  const [code] = (await once(child, 'close')) as [number | null];
  check(code === 0, 'not every expression of the dashboards returns data');
}

/** Returns what is not accounted for, by the recording rule. */
async function checkByMetrics(stack: ComposeStack, enqueued: number, check: Check): Promise<number> {
  const prometheus = new PrometheusClient(await stack.url('prometheus', 9090));
  const total = (values: ReadonlyMap<string, number>) =>
    [...values.values()].reduce((sum, value) => sum + value, 0);
  const settled = await prometheus.queryUntil(
    'sum(app_lane:pushfleet_settled_notifications:total)',
    (values) => total(values) === enqueued,
    60_000,
  );
  check(total(settled) === enqueued, `metrics know of ${total(settled)} settled ones, not of ${enqueued}`);
  const identity = await prometheus.query('app_lane:pushfleet_unaccounted_notifications:identity');
  check(
    identity.size > 0 && total(identity) === 0,
    `the identity by metrics is ${JSON.stringify([...identity])}`,
  );
  const alerts = await prometheus.query('ALERTS{alertstate="firing",severity="critical"}');
  say(`metrics alone: ${total(settled).toLocaleString('en')} settled, ${total(identity)} not accounted for`);
  // The killed worker may be one: that is what the alert is for.
  for (const alert of alerts.keys()) say(`an alert fires: ${alert}`);
  return total(identity);
}

/** A stop drains, and every service exits with 0. */
async function checkStop(stack: ComposeStack, check: Check): Promise<void> {
  await stack.compose('stop', ...services);
  for (const service of services) {
    for (const id of (await stack.compose('ps', '-aq', service)).trim().split('\n').filter(Boolean)) {
      const code = (await stack.run('docker', ['inspect', '--format', '{{.State.ExitCode}}', id])).trim();
      // 137: the one that was killed.
      check(
        code === '0' || (service === 'worker' && code === '137'),
        `a ${service} ended with exit code ${code}`,
      );
    }
  }
  say('stopped');
}

const args = parseStackArguments(process.argv.slice(2));
if (args === 'help') {
  process.stdout.write(`${usage}\n`);
} else {
  const stack = new ComposeStack({ root, project: `pushfleet-stack-${randomBytes(3).toString('hex')}` });
  try {
    const result = await run(stack, args);
    const holds = result.problems.length === 0;
    say(holds ? 'everything is accounted for' : `${result.problems.length} problems`);
    if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exitCode = holds ? 0 : 1;
  } catch (error) {
    say(`failed: ${(error as Error).message}`);
    process.stderr.write(await stack.compose('logs', '--tail', '20').catch(() => ''));
    process.exitCode = 1;
  } finally {
    if (!args.keep) await stack.compose('down', '-v', '--timeout', '5').catch(() => undefined);
  }
}
