import { readFileSync, rmSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '@pushfleet/client';
import { runProcess } from '@pushfleet/testkit';
import type { Say } from './progress.ts';
import {
  badTokenPrefix,
  badTokenRule,
  binaryApp,
  deadTokenPrefix,
  http2App,
  pausedApp,
  type Stage,
} from './stage.ts';
import { openWebhookReceiver } from './webhook-receiver.ts';

// What `npm run demo -- --keep` leaves to play with: examples of what can become of a notification, and a file of
// variables by which programs and the `pushfleet` command find everything.

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'apps/cli/src/main.ts');

export interface Playground {
  /** To be sourced by a shell. */
  readonly file: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Ids of the examples. */
  readonly examples: Readonly<Record<'rejected' | 'dead' | 'scheduled' | 'paused', string>>;
  readonly webhookUrl: string;
  stop(): Promise<void>;
}

/** @param onEvent Told the kind of each event that the webhook got. */
export async function openPlayground(
  stage: Stage,
  { boardKey, onEvent }: { readonly boardKey: string; readonly onEvent: (kind: string) => void },
): Promise<Playground> {
  const receiver = await openWebhookReceiver(onEvent);
  const file = join(root, '.pushfleet', 'playground.env');
  try {
    await stage.startWorker();
    const webhookUrl = receiver.url;
    await mkdir(dirname(file), { recursive: true });
    const bin = await makePrograms(stage.folder);
    const variables = {
      PUSHFLEET_URL: stage.producerUrl,
      PUSHFLEET_KEY: await createKey(stage),
      REDIS_URL: stage.redisUrl,
      PUSHFLEET_REDIS_PREFIX: stage.redisPrefix,
      DATABASE_URL: stage.databaseUrl,
      PUSHFLEET_CONFIG: stage.configPath,
      SIMULATOR_URL: `http://127.0.0.1:${stage.simulator.controlPort}`,
      BOARD_URL: `http://any:${boardKey}@127.0.0.1:${stage.producer.adminPort}/board`,
      WEBHOOK_URL: webhookUrl,
      TLS_DIR: stage.simulator.tlsDir,
    };
    const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`);
    await writeFile(file, `${[...lines, `export PATH=${quote(bin)}:"$PATH"`].join('\n')}\n`, { mode: 0o600 });
    const removeFile = (): void => {
      try {
        // Another playground may have written its own since.
        if (readFileSync(file, 'utf8').includes(stage.redisUrl)) rmSync(file);
      } catch {
        // It is gone.
      }
    };
    // Also after a second signal, which waits for nothing.
    process.on('exit', removeFile);
    const { secret = '' } = await clientOf(stage).call('POST /v1/webhooks', {
      body: { app: binaryApp, url: webhookUrl },
    });
    receiver.secretIs(secret);
    const examples = await leaveExamples(stage);
    return {
      file,
      variables,
      examples,
      webhookUrl,
      async stop() {
        await receiver.stop();
        removeFile();
        process.off('exit', removeFile);
      },
    };
  } catch (error) {
    await receiver.stop();
    throw error;
  }
}

/** The last screen, with everything to try. */
export function describePlayground({ variables, examples }: Playground, say: Say): void {
  for (const [name, value] of Object.entries(variables)) say(`export ${name}=${quote(value)}`);
  say('');
  say('Everything stays up until Ctrl-C. In another terminal, in this folder:');
  say('');
  say(
    '  . .pushfleet/playground.env       # the lines above, and the commands pushfleet and node (24 or newer)',
  );
  say('  pushfleet send --app shop-prod --user anna --alert "It is on its way" --wait');
  say(`  pushfleet status ${examples.rejected}   # rejected: a bad token`);
  say(`  pushfleet status ${examples.dead}   # dead after two tries`);
  say('  pushfleet dead-letters list shop-prod');
  say(`  pushfleet cancel ${examples.scheduled}   # scheduled for tomorrow`);
  say(`  pushfleet status ${examples.paused}   # waits: ${pausedApp} is paused`);
  say(`  pushfleet resume ${pausedApp}`);
  say('  curl "$WEBHOOK_URL"               # events that the webhook has received');
  say('  curl "$SIMULATOR_URL/ledger"      # what the gateway has received');
  say('');
}

/** One notification for each of the ends that a good day does not show; gives their ids. */
async function leaveExamples(stage: Stage): Promise<Playground['examples']> {
  const deadRule = { match: { tokenPrefix: deadTokenPrefix } };
  await stage.simulator.control.faults({
    rules: [
      badTokenRule,
      { on: 'binary', ...deadRule, action: { kind: 'reject', status: 1 } },
      {
        on: 'http2',
        match: badTokenRule.match,
        action: { kind: 'respond', reason: 'BadDeviceToken' },
      },
      { on: 'http2', ...deadRule, action: { kind: 'respond', status: 418, reason: 'Teapot' } },
    ],
  });
  const client = clientOf(stage);
  const token = (start: string): string => start.padEnd(64, '5');
  await client.call('PUT /v1/devices/{token}', {
    path: { token: token('a') },
    body: { app: binaryApp, userId: 'anna', tags: ['vip'] },
  });
  await client.call('POST /v1/apps/{app}/pause', {
    path: { app: pausedApp },
    body: { reason: 'an example' },
  });
  const send = async (app: string, start: string, more = {}): Promise<string> => {
    const alert = { title: 'Your order', body: 'It is on its way.' };
    const { notificationIds } = await client.send({ app, token: token(start), alert, ...more });
    return notificationIds[0]!;
  };
  const tomorrow = Math.floor(Date.now() / 1000) + 86_400;
  const [rejected, dead, scheduled, paused] = await Promise.all([
    send(binaryApp, badTokenPrefix),
    send(binaryApp, deadTokenPrefix),
    send(http2App, 'a', { sendAt: tomorrow }),
    send(pausedApp, 'a'),
  ]);
  return { rejected, dead, scheduled, paused };
}

function clientOf({ producerUrl }: Stage) {
  return createClient({ baseUrl: producerUrl });
}

/** `pushfleet` and `node`, for a shell whose own Node.js may be too old, or which has none. */
async function makePrograms(folder: string): Promise<string> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await symlink(process.execPath, join(bin, 'node'));
  const program = join(bin, 'pushfleet');
  await writeFile(program, `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(cli)} "$@"\n`);
  await chmod(program, 0o755);
  return bin;
}

/** The API asks for none here; with it, what asks for one can be tried. */
async function createKey({ databaseUrl }: Stage): Promise<string> {
  const { code, stdout, stderr } = await runProcess({
    entry: cli,
    args: ['keys', 'create', 'playground', '--scope', 'admin', '--json'],
    env: { DATABASE_URL: databaseUrl, DATABASE_URL_FILE: undefined },
  });
  if (code !== 0) throw new Error(`No key could be made: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { readonly key: string }).key;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
