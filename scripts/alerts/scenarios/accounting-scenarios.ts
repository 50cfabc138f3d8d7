import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { outcomesKey, totalsKey } from '@pushfleet/push-queue';
import { newTokens } from '../alert-fleet.ts';
import type { Scenario } from '../scenario.ts';

// Sums, dead letters, reports and events: the group pushfleet-accounting of the alerts.

const prefix = 'pushfleet';

const lostCount: Scenario = {
  alerts: [{ name: 'PushfleetIdentityBroken', labels: { app: 'miscounted' } }],
  app: { id: 'miscounted' },
  trouble: 'Redis counts seven notifications that it has no push job of',
  remedy: "redis-cli del 'pushfleet:{APP}:totals' while the queues of the app are empty",
  provoke: async (fleet) =>
    void (await fleet.redis.hincrby(totalsKey(prefix, 'miscounted'), 'enqueued:bulk', 7)),
  mend: async (fleet) => void (await fleet.redis.del(totalsKey(prefix, 'miscounted'))),
};

const deadLetters: Scenario = {
  alerts: [{ name: 'PushfleetDeadLetters', labels: { app: 'dropped' } }],
  app: { id: 'dropped', settings: () => ({ onUncertain: 'drop', confirmAfter: '2s' }) },
  trouble: 'a connection is reset under an app that drops what is in doubt',
  remedy: 'pushfleet dead-letters list APP, show APP ID, replay APP ID',
  async provoke(fleet) {
    await fleet.fault('dropped', { on: 'binary', match: { after: 50 }, times: 1, action: { kind: 'reset' } });
    await fleet.send('dropped', newTokens(100));
  },
  async mend(fleet) {
    await fleet.fault('dropped');
    const { letters } = (await fleet.pushfleet('dead-letters', 'list', 'dropped')) as unknown as {
      readonly letters: readonly { readonly id: string }[];
    };
    for (const { id } of letters) {
      await fleet.pushfleet('dead-letters', 'show', 'dropped', id);
      await fleet.pushfleet('dead-letters', 'replay', 'dropped', id);
    }
  },
};

const trimmed: Scenario = {
  alerts: [{ name: 'PushfleetDeadLettersTrimmed', labels: { app: 'forgotten' } }],
  app: {
    id: 'forgotten',
    settings: () => ({ onUncertain: 'drop', confirmAfter: '2s', deadLetters: { keepFor: '1m' } }),
  },
  trouble: 'nobody looks at a dead letter before its time is over',
  remedy: 'keepFor and maxBytes fit what people can look at; the alert ends by itself',
  async provoke(fleet) {
    const match = { after: 50 };
    await fleet.fault('forgotten', { on: 'binary', match, times: 1, action: { kind: 'reset' } });
    await fleet.send('forgotten', newTokens(100));
  },
  mend: async (fleet) => fleet.fault('forgotten'),
};

const strangeReport: Scenario = {
  alerts: [{ name: 'PushfleetReportsSetAside', labels: { app: 'newer' } }],
  app: { id: 'newer' },
  trouble: 'a worker writes outcome reports of a version that the sweeper does not know',
  remedy: 'the sweepers are updated; no more come, and an hour later the alert ends',
  provoke: async (fleet) =>
    void (await fleet.redis.xadd(outcomesKey(prefix, 'newer'), '*', 'report', '{"v":99}')),
  mend: async () => undefined,
};

function webhooks(): Scenario {
  const app = 'deaf';
  let server: Server;
  let status = 500;
  return {
    alerts: [{ name: 'PushfleetWebhooksFail', labels: { app } }],
    app: { id: app },
    trouble: 'the far end of a webhook answers 500',
    remedy: 'the far end answers again; events are delivered by themselves',
    async provoke(fleet) {
      server = createServer((request, response) => {
        request.resume();
        response.writeHead(status).end();
      });
      server.listen(0, '127.0.0.1');
      server.unref();
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      await fleet.call('POST', '/v1/webhooks', { app, url: `http://127.0.0.1:${port}/` });
      fleet.keepSending(300, async () => fleet.send(app, newTokens(1)));
    },
    async mend() {
      status = 200;
    },
  };
}

export const accountingScenarios: readonly Scenario[] = [
  lostCount,
  deadLetters,
  trimmed,
  strangeReport,
  webhooks(),
];
