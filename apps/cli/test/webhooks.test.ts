import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { runCli } from './run-cli.ts';

// The commands against what docs/openapi.json says of the API; the API itself is tested where it is.

const id = '019a0000-0000-7000-8000-000000000001';
const webhook = {
  webhookId: id,
  app: 'shop',
  url: 'https://example.com/hook',
  kinds: ['app.paused'],
  active: true,
  createdAt: '2026-01-01T00:00:00.000Z',
};
const delivery = {
  ...{ deliveryId: '7', kind: 'app.paused', state: 'failed', attempts: 11, status: 500 },
  ...{ occurredAt: '2026-01-01T00:00:00.000Z', error: 'was answered 500\u001b[31m' },
};

const answers: Readonly<Record<string, readonly [status: number, body?: object]>> = {
  'GET /v1/webhooks?app=shop': [200, { webhooks: [webhook] }],
  'POST /v1/webhooks': [201, { ...webhook, secret: 'whsec_c2VjcmV0' }],
  [`DELETE /v1/webhooks/${id}`]: [204],
  [`POST /v1/webhooks/${id}/test`]: [202, { deliveryId: '8' }],
  [`POST /v1/webhooks/${id}/resend`]: [202, { resent: 1, deliveryIds: ['7'] }],
  [`GET /v1/webhooks/${id}/deliveries?limit=100`]: [200, { deliveries: [delivery], next: null }],
};

async function openApi(): Promise<{ env: NodeJS.ProcessEnv; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const call = `${request.method} ${request.url}`;
      asked.push(body === '' ? call : `${call} ${body}`);
      const [status, answer] = answers[call] ?? [404, { code: 'no-route', detail: call, errors: [] }];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(answer === undefined ? undefined : JSON.stringify(answer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { env: { PUSHFLEET_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, asked };
}

test.each([
  [['list', '--app', 'shop'], /app\.paused +https:\/\/example\.com\/hook/, 'GET /v1/webhooks?app=shop'],
  [
    ['create', 'https://example.com/hook', '--app', 'shop', '--kind', 'app.paused'],
    /secret whsec_c2VjcmV0\n/,
    'POST /v1/webhooks {"app":"shop","url":"https://example.com/hook","kinds":["app.paused"]}',
  ],
  [['delete', id], /is gone/, `DELETE /v1/webhooks/${id}`],
  [['test', id], /delivery 8 is queued/, `POST /v1/webhooks/${id}/test`],
  [['resend', id], /1 delivery is made again/, `POST /v1/webhooks/${id}/resend {}`],
  [
    ['resend', id, '--delivery', '7'],
    /1 delivery is made again/,
    `POST /v1/webhooks/${id}/resend {"deliveryIds":["7"]}`,
  ],
  [
    ['deliveries', id],
    /7 +app\.paused +failed +11 +was answered 500\\u001b/,
    `GET /v1/webhooks/${id}/deliveries?limit=100`,
  ],
])('pushfleet webhooks %j', async (args, output, call) => {
  const { env, asked } = await openApi();
  const { exitCode, stdout } = await runCli(['webhooks', ...args], env);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(output) });
  expect(asked).toEqual([call]);
});

test('a kind that does not exist is refused with those that do', async () => {
  const args = ['webhooks', 'create', 'https://example.com', '--app', 'shop', '--kind', 'app.stopped'];
  const { exitCode, stderr } = await runCli(args, {});
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/batch\.finished/);
});
