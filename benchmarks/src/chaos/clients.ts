import { setTimeout as delay } from 'node:timers/promises';
import { PushfleetError } from '@pushfleet/client';
import { generateTokens, randomInt } from '@pushfleet/testkit';
import { type ClientContext, contentOf, createContext, pickApp, remember } from './client-context.ts';
import type { ChaosFleet } from './fleet.ts';
import { runLibrary } from './library-client.ts';
import { type ChaosApp, type ClientMemory, chaosApps } from './memory.ts';

const batchSize = 300;
const devicesPerApp = 300;

/** Everything that a client does beside the others, again and again until it is over. */
interface Client {
  readonly name: string;
  /** Between one round and the next, milliseconds. */
  readonly everyMs: number;
  run(context: ClientContext): Promise<void>;
}

const single: Client = {
  name: 'single',
  everyMs: 25,
  async run(context) {
    const item = remember(context, pickApp(context.random), 'single');
    const { app, token, mark } = item;
    const options = { idempotencyKey: `single-${mark}` };
    const answer = await context.ask('a send', (api) =>
      api.send({ app, token, ...contentOf(mark) }, options),
    );
    if (answer !== undefined) item.notificationId = answer.batchId;
  },
};

const batch: Client = {
  name: 'batch',
  everyMs: 500,
  async run(context) {
    const app = pickApp(context.random);
    const items = Array.from({ length: batchSize }, (_, place) => remember(context, app, 'batch', { place }));
    const notifications = items.map(({ token, mark }) => ({ token, ...contentOf(mark) }));
    const options = { idempotencyKey: `batch-${items[0]!.mark}` };
    const answer = await context.ask('a batch', (api) =>
      api.send({ app, lane: 'bulk', notifications }, options),
    );
    for (const [place, item] of items.entries()) {
      const id = answer?.notificationIds[place];
      if (answer === undefined || id === undefined) continue;
      item.notificationId = id;
      item.batchId = answer.batchId;
    }
  },
};

const scheduled: Client = {
  name: 'scheduled',
  everyMs: 300,
  async run(context) {
    const sendAtMs = Date.now() + 20_000 + randomInt(context.random, 20_000);
    const item = remember(context, pickApp(context.random), 'scheduled', { sendAtMs });
    const { app, token, mark } = item;
    const sendAt = new Date(sendAtMs).toISOString();
    const options = { idempotencyKey: `scheduled-${mark}` };
    const answer = await context.ask('a scheduled send', (api) =>
      api.send({ app, token, sendAt, ...contentOf(mark) }, options),
    );
    if (answer === undefined) return;
    item.notificationId = answer.batchId;
    if (randomInt(context.random, 3) > 0) return;
    await context.ask('a cancellation', (api) => api.cancelNotification(answer.batchId));
    // Answered well before a worker may take it: it must not be sent any more.
    if (Date.now() < sendAtMs - 5_000) item.cancelledAt = Date.now();
  },
};

const user: Client = {
  name: 'user',
  everyMs: 250,
  async run(context) {
    const users = [...context.memory.devices];
    const [token, userId] = users[randomInt(context.random, users.length)] ?? [];
    if (token === undefined || userId === undefined) return;
    const app = userId.split('-')[0] as ChaosApp;
    const item = remember(context, app, 'user', { token });
    const options = { idempotencyKey: `user-${item.mark}` };
    const answer = await context.ask('a send to a user', (api) =>
      api.send({ app, userId, ...contentOf(item.mark) }, options),
    );
    const id = answer?.notificationIds[0];
    if (id !== undefined) item.notificationId = id;
  },
};

/** Registers devices again and again, as apps do at each start. */
const registration: Client = {
  name: 'registration',
  everyMs: 200,
  async run(context) {
    const devices = [...context.memory.devices];
    const [token, userId] = devices[randomInt(context.random, devices.length)] ?? [];
    if (token === undefined || userId === undefined) return;
    await context.ask('a registration', (api) =>
      api.registerDevice(token, {
        app: userId.split('-')[0]!,
        userId,
        tags: ['all', `t${randomInt(context.random, 9)}`],
      }),
    );
  },
};

const broadcast: Client = {
  name: 'broadcast',
  everyMs: 12_000,
  async run({ memory, random, ask }) {
    const app = pickApp(random);
    const tokens = [...memory.devices]
      .filter(([, owner]) => owner.startsWith(`${app}-`))
      .map(([token]) => token);
    const item = {
      app,
      mark: memory.makeMark(),
      tokens,
      mayBePartial: false,
    } as (typeof memory.broadcasts)[number];
    memory.broadcasts.push(item);
    const options = { idempotencyKey: `broadcast-${item.mark}` };
    const answer = await ask('a broadcast', (api) =>
      api.broadcast({ app, audience: { tags: 'all' }, ...contentOf(item.mark) }, options),
    );
    if (answer === undefined) return;
    item.id = answer.broadcastId;
    const path = { id: answer.broadcastId };
    const what = randomInt(random, 4);
    if (what === 0) {
      item.mayBePartial = true;
      await ask('a cancellation', (api) => api.call('DELETE /v1/broadcasts/{id}', { path }));
    } else if (what === 1) {
      // Where it has ended already, there is nothing to pause.
      await ask('a pause', (api) =>
        api.call('POST /v1/broadcasts/{id}/pause', { path, isRepeatable: true }).catch(unlessOver),
      );
      await delay(1_000);
      await ask('a resumption', (api) =>
        api.call('POST /v1/broadcasts/{id}/resume', { path, isRepeatable: true }).catch(unlessOver),
      );
    }
  },
};

const pause: Client = {
  name: 'pause',
  everyMs: 15_000,
  async run({ random, ask }) {
    const path = { app: pickApp(random) };
    await ask('a pause', (api) =>
      api.call('POST /v1/apps/{app}/pause', { path, body: {}, isRepeatable: true }),
    );
    await delay(1_500);
    await ask('a resumption', (api) => api.call('POST /v1/apps/{app}/resume', { path, isRepeatable: true }));
  },
};

const importing: Client = {
  name: 'import',
  everyMs: 9_000,
  async run({ memory, ask }) {
    const devices = [...memory.devices];
    const lines = devices.map(([token, userId]) => JSON.stringify({ token, userId, tags: ['all'] }));
    const app = devices[0]?.[1].split('-')[0] as ChaosApp;
    const body = lines.filter((_, place) => devices[place]![1].startsWith(`${app}-`)).join('\n');
    await ask('an import', (api) => api.importDevices(app, 'ndjson', body));
  },
};

const clients: readonly Client[] = [
  single,
  single,
  batch,
  scheduled,
  user,
  registration,
  broadcast,
  pause,
  importing,
];

function unlessOver(error: unknown): undefined {
  if (error instanceof PushfleetError && error.status === 409) return undefined;
  throw error;
}

/** Registers the devices that the run sends to, and the webhooks that hear of it. */
export async function prepareClients(fleet: ChaosFleet, memory: ClientMemory, seed: number): Promise<void> {
  const context = createContext(fleet, memory, seed);
  const tokens = generateTokens({ count: devicesPerApp * chaosApps.length, seed: seed + 1 });
  for (const [at, app] of chaosApps.entries()) {
    const own = tokens.slice(at * devicesPerApp, (at + 1) * devicesPerApp);
    const lines = own.map((token, place) =>
      JSON.stringify({ token, userId: `${app}-${place}`, tags: ['all'] }),
    );
    await context.ask('an import', (api) => api.importDevices(app, 'ndjson', lines.join('\n')));
    for (const [place, token] of own.entries()) memory.devices.set(token, `${app}-${place}`);
    const body = { app, url: fleet.webhooks.url, kinds: ['batch.finished' as const] };
    await context.ask('a webhook', (api) => api.call('POST /v1/webhooks', { body, isRepeatable: true }));
  }
  fleet.webhooks.server.on('request', (request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const { data } = JSON.parse(text) as { data?: { batch?: string; batchId?: string } };
      const id = data?.batchId ?? data?.batch;
      if (id !== undefined) memory.finishedBatches.add(id);
      response.writeHead(204).end();
    });
  });
}

/** Runs all clients until `signal` aborts; resolves when the calls that were under way have been answered. */
export async function runClients(
  fleet: ChaosFleet,
  memory: ClientMemory,
  seed: number,
  signal: AbortSignal,
): Promise<void> {
  const loops = clients.map(async (client, at) => {
    const context = createContext(fleet, memory, seed + 100 * (at + 1));
    while (!signal.aborted) {
      await client.run(context);
      await delay(client.everyMs, undefined, { signal }).catch(() => undefined);
    }
  });
  await Promise.all([...loops, runLibrary(fleet, memory, seed, signal)]);
}
