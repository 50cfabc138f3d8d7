import { createBatchId, notificationId } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 10, seed: 14 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const get = (url: string, headers = {}) => probe.call('GET', url, { headers });
const sql = (text: string, values: unknown[]) => probe.database.store.database.query(text, values);

/** What the sweeper writes of a batch of which some were refused. */
async function report(batch: string, size: number, rejected: readonly number[]): Promise<void> {
  await sql(
    `insert into batches (id, app, lane, size, enqueued_at, rejected, first_settled_at, last_settled_at)
     values ($1, 'shop', 'bulk', $2, now(), $3, now(), now())`,
    [batch, size, rejected.length],
  );
  await sql(
    `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
     select $1, n, 'shop', $2, 'rejected', 'Unregistered', 410, '2030-01-31T12:00:00Z' from unnest($3::bigint[]) n`,
    [batch, Buffer.from(tokens[0]!, 'hex'), rejected],
  );
}

const rejection = (batch: string, index: number) => ({
  index,
  notificationId: notificationId(batch, index),
  token: tokens[0]!,
  outcome: 'rejected',
  reason: 'Unregistered',
  gatewayStatus: 410,
  at: '2030-01-31T12:00:00.000Z',
});

test('a batch has a list of exceptions from the first moment on, empty while nothing is reported', async () => {
  const { body: sent } = await probe.call('POST', '/v1/notifications', {
    body: { app: 'shop', defaults: { alert: 'x' }, notifications: tokens.map((token) => ({ token })) },
  });
  const url = `/v1/batches/${sent.batchId}/exceptions`;
  expect(await get(url)).toMatchObject({ status: 200, body: { exceptions: [], next: null } });
  expect((await get(url, { accept: 'text/csv' })).text).toBe(
    'index,notificationId,token,outcome,reason,gatewayStatus,at\r\n',
  );
  expect((await get(url, { accept: 'application/x-ndjson' })).text).toBe('');
});

test('a single send has its own exception under the batch id that it answered, and no other', async () => {
  // Sent at once, they are written as one batch.
  const sent = await Promise.all(
    tokens.slice(0, 3).map((token, place) =>
      probe.call('POST', '/v1/notifications', {
        body: {
          app: 'shop',
          token,
          alert: 'x',
          ...(place === 2 ? { sendAt: Date.now() / 1_000 + 600 } : {}),
        },
      }),
    ),
  );
  const ids: string[] = sent.map(({ body }) => body.batchId);
  for (const id of ids) {
    expect(await get(`/v1/batches/${id}/exceptions`)).toMatchObject({
      status: 200,
      body: { exceptions: [], next: null },
    });
  }
  const batch = createBatchId();
  await report(batch, 3, [2]);
  const [first, second, fourth] = [1, 2, 4].map((index) => notificationId(batch, index));
  expect((await get(`/v1/batches/${first}/exceptions`)).body).toEqual({ exceptions: [], next: null });
  const only = { ...rejection(batch, 2), index: 1 };
  expect((await get(`/v1/batches/${second}/exceptions`)).body).toEqual({ exceptions: [only], next: null });
  expect((await get(`/v1/batches/${second}/exceptions?after=1`)).body.exceptions).toEqual([]);
  expect(
    (await get(`/v1/batches/${second!.toUpperCase()}/exceptions?format=csv`)).text.split('\r\n')[1],
  ).toBe(`1,${second},${tokens[0]},rejected,Unregistered,410,2030-01-31T12:00:00.000Z`);
  expect((await get(`/v1/batches/${fourth}/exceptions`)).status).toBe(404);
});

test('a broadcast has a list of the devices that were refused, across its chunks', async () => {
  const { body: broadcast } = await probe.call('POST', '/v1/broadcasts', {
    body: { app: 'shop', audience: { tags: 'nobody' }, alert: 'x' },
  });
  const url = `/v1/broadcasts/${broadcast.broadcastId}/exceptions`;
  expect((await get(url)).body).toEqual({ exceptions: [], next: null });
  // The second chunk is reported first, and the fourth is not reported at all.
  const batches = [createBatchId(), createBatchId(), createBatchId(), createBatchId()];
  for (const [chunk, batch] of batches.entries()) {
    await sql('insert into broadcast_chunks (broadcast, chunk, batch, count) values ($1, $2, $3, 9)', [
      broadcast.broadcastId,
      chunk,
      batch,
    ]);
  }
  const [one, two, three] = batches as [string, string, string];
  await report(two, 9, [1, 9]);
  await report(one, 9, [4, 5, 6]);
  await report(three, 9, []);
  // That of another send.
  await report(createBatchId(), 9, [3]);
  const expected = [...[4, 5, 6].map((index) => [one, index]), [two, 1], [two, 9]].map(([batch, index]) => ({
    batchId: batch,
    ...rejection(batch as string, index as number),
  }));
  expect((await get(url)).body).toEqual({ exceptions: expected, next: null });
  for (const limit of [1, 2, 3, 4, 5]) {
    const pages: object[][] = [];
    for (let next: string | null = '0-0'; next !== null; ) {
      const { body } = await get(`${url}?after=${next}&limit=${limit}`);
      pages.push(body.exceptions);
      next = body.next;
    }
    expect(pages.flat()).toEqual(expected);
    expect(pages).toHaveLength(Math.ceil(5 / limit));
  }
  const lines = (await get(url, { accept: 'application/x-ndjson' })).text.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
  const csv = await get(`${url}?format=csv&after=0-6`);
  expect(csv.headers['content-disposition']).toBe(`attachment; filename="${broadcast.broadcastId}.csv"`);
  expect(csv.text.split('\r\n')).toEqual([
    'batchId,index,notificationId,token,outcome,reason,gatewayStatus,at',
    ...[1, 9].map((index) => `${two},${Object.values(rejection(two, index)).join(',')}`),
    '',
  ]);
});

test('exceptions are paged, and come as NDJSON and CSV on request', async () => {
  const batch = createBatchId();
  const { database } = probe.database.store;
  await database.query(
    `insert into batches (id, app, lane, size, enqueued_at, rejected, first_settled_at, last_settled_at)
     values ($1, 'shop', 'bulk', 5000, now(), 4500, now(), now())`,
    [batch],
  );
  await database.query(
    `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
     select $1, n, 'shop', $2, 'rejected', 'Bad "token", gone', case when n % 2 = 0 then 8 end, now()
     from generate_series(1, 4500) n`,
    [batch, Buffer.from(tokens[0]!, 'hex')],
  );
  const url = `/v1/batches/${batch}/exceptions`;
  const indexes: number[] = [];
  for (let next: number | null = 0; next !== null; ) {
    const { body } = await probe.call('GET', `${url}?after=${next}&limit=2000`);
    indexes.push(...body.exceptions.map(({ index }: { index: number }) => index));
    next = body.next;
  }
  expect(indexes).toEqual(Array.from({ length: 4_500 }, (_, place) => place + 1));
  const ndjson = await probe.call('GET', url, { headers: { accept: 'application/x-ndjson' } });
  expect(ndjson.text.trim().split('\n')).toHaveLength(4_500);
  const csv = await probe.call('GET', `${url}?format=csv&after=4498`);
  expect(csv.headers['content-type']).toContain('text/csv');
  const [head, first] = csv.text.split('\r\n');
  expect(head).toBe('index,notificationId,token,outcome,reason,gatewayStatus,at');
  expect(first).toMatch(`4499,${notificationId(batch, 4_499)},${tokens[0]},rejected,"Bad ""token"", gone",,`);
  expect(csv.text.trim().split('\r\n')).toHaveLength(3);
});

test.each([
  [`/v1/batches/${createBatchId()}/exceptions`, 404, 'unknown-batch'],
  [`/v1/batches/${createBatchId()}/exceptions?limit=0`, 400, 'invalid-request'],
  ['/v1/batches/x/exceptions', 400, 'invalid-request'],
  [`/v1/batches/${notificationId(createBatchId(), 1)}/exceptions`, 404, 'unknown-batch'],
  ['/v1/broadcasts/123e4567-e89b-12d3-a456-426614174000/exceptions', 404, 'unknown-broadcast'],
  ['/v1/broadcasts/123e4567-e89b-12d3-a456-426614174000/exceptions?after=7', 400, 'invalid-request'],
  ['/v1/broadcasts/x/exceptions', 400, 'invalid-request'],
])('%s is answered %i', async (url, status, code) => {
  expect(await get(url)).toMatchObject({ status, body: { code } });
});

test('what was refused of all that was sent to a device, or to a user, is found, the newest first', async () => {
  const [first, second, stranger] = generateTokens({ count: 3, seed: 141 }) as [string, string, string];
  for (const token of [first, second]) {
    await probe.call('PUT', `/v1/devices/${token}`, { body: { app: 'shop', userId: 'carla' } });
  }
  const batches = Array.from({ length: 3 }, () => createBatchId()).toSorted();
  for (const [place, batch] of batches.entries()) {
    const refused = [place === 1 ? second : first, stranger];
    await sql(
      `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
       select $1, n, 'shop', decode(token, 'hex'), 'rejected', 'Unregistered', 410, now()
       from unnest($2::text[]) with ordinality as t (token, n)`,
      [batch, refused],
    );
  }
  const find = async (query: string) => get(`/v1/exceptions?app=shop&${query}`);
  const ofDevice = await find(`token=${first.toUpperCase()}`);
  expect(ofDevice).toMatchObject({
    status: 200,
    body: {
      exceptions: [2, 0].map((place) => ({
        batchId: batches[place],
        notificationId: notificationId(batches[place]!, 1),
        index: 1,
        token: first,
        outcome: 'rejected',
        reason: 'Unregistered',
        gatewayStatus: 410,
      })),
      next: null,
    },
  });
  // Page by page, through one cursor for whatever the list is.
  const seen: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: { body: { exceptions: { batchId: string }[]; next: string | null } } = await find(
      `userId=carla&limit=1${next === '' ? '' : `&after=${next}`}`,
    );
    seen.push(...page.body.exceptions.map(({ batchId }) => batchId));
    next = page.body.next;
  }
  expect(seen).toEqual(batches.toReversed());
  expect((await find('userId=carla&format=csv')).text.split('\r\n')).toHaveLength(1 + 3 + 1);
  expect((await find(`token=${'00'.repeat(32)}`)).body).toEqual({ exceptions: [], next: null });
  for (const query of ['', `token=${first}&userId=carla`]) {
    expect(await find(query)).toMatchObject({ status: 400, body: { errors: [{ field: 'token' }] } });
  }
  expect(await get(`/v1/exceptions?app=gone&userId=carla`)).toMatchObject({ status: 404 });
});
