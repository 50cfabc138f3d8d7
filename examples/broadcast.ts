// Registers devices from a file, sends to those with a tag, and follows the broadcast until all of it is enqueued.
import { randomBytes } from 'node:crypto';
import { createClient } from '@pushfleet/client';

const { PUSHFLEET_URL = 'http://127.0.0.1:8080', PUSHFLEET_KEY } = process.env;
const pushfleet = createClient({
  baseUrl: PUSHFLEET_URL,
  ...(PUSHFLEET_KEY === undefined ? {} : { key: PUSHFLEET_KEY }),
});

const devices = Array.from({ length: 1_000 }, (_, place) => ({
  token: randomBytes(32).toString('hex'),
  userId: `user-${place}`,
  tags: place % 4 === 0 ? ['example', 'silent'] : ['example'],
}));
const file = devices.map((device) => JSON.stringify(device)).join('\n');
const { imported } = await pushfleet.importDevices('shop-prod', 'ndjson', file);

const request = {
  app: 'shop-prod',
  audience: { tags: { and: ['example', { not: 'silent' }] } },
  alert: { title: 'Sale', body: 'Today only.' },
};
const audience = await pushfleet.countAudience(request);
const { broadcastId } = await pushfleet.broadcast(request);
for await (const { fanOutProgress, enqueued } of pushfleet.followBroadcast(broadcastId)) {
  // `progress` goes on from here until every device has its outcome.
  if (fanOutProgress < 1) continue;
  console.log(JSON.stringify({ imported, audience, broadcastId, enqueued }));
  break;
}
