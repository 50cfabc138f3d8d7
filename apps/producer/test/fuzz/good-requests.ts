import type { FuzzedRequest } from './arbitrary-requests.ts';

/** Requests that are all right, of every kind that stores something. */
export function goodRequests(apps: readonly string[], tokens: readonly string[]): FuzzedRequest[] {
  const [app = ''] = apps;
  const [token = ''] = tokens;
  const send = (body: object): FuzzedRequest => ({
    method: 'POST',
    url: '/v1/notifications',
    body: { app, ...body },
  });
  const alert = 'x';
  return [
    send({ token, alert }),
    send({ token, alert, sendAt: new Date(Date.now() + 86_400_000).toISOString() }),
    send({ token, payload: { aps: { alert, 'mutable-content': 1 }, custom: { deep: [[[1]]] } } }),
    send({ defaults: { alert }, notifications: tokens.map((each) => ({ token: each })) }),
    send({
      lane: 'bulk',
      defaults: { alert },
      notifications: Array.from({ length: 500 }, (_, badge) => ({ token, badge })),
    }),
    send({ userId: 'anna', alert }),
    send({ defaults: { alert }, userIds: ['anna', 'otto', 'nobody'] }),
    { method: 'PUT', url: `/v1/devices/${token}`, body: { app, userId: 'anna', tags: ['vip'] } },
    { method: 'POST', url: '/v1/broadcasts', body: { app, alert, audience: { tags: ['vip'] } } },
    { method: 'POST', url: '/v1/broadcasts', body: { app, alert, audience: { all: true } } },
    { method: 'POST', url: '/v1/webhooks', body: { app, url: 'https://192.0.2.1/hook' } },
    { method: 'POST', url: `/v1/apps/${app}/pause`, body: { reason: 'x' } },
    { method: 'POST', url: `/v1/apps/${app}/resume`, body: undefined },
  ];
}
