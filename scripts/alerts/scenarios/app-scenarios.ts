import { join } from 'node:path';
import { badTokenPrefix, newTokens } from '../alert-fleet.ts';
import type { Scenario } from '../scenario.ts';

// Apps that rest, credentials that end, queues that nobody takes from: the group pushfleet-apps of the alerts.

const dayMs = 86_400_000;

function expiring(id: string, days: number, alerts: readonly string[]): Scenario {
  return {
    alerts: alerts.map((name) => ({ name, labels: { app: id } })),
    app: { id, certificate: { notAfter: new Date(Date.now() + days * dayMs) } },
    trouble: `its certificate ends in ${days} days`,
    remedy: 'a new certificate in place of the file; workers and sweeper take it up without a restart',
    provoke: async () => undefined,
    mend: async (fleet) => fleet.renewCredential(id),
  };
}

const wrongEnvironment: Scenario = {
  alerts: [{ name: 'PushfleetWorkerUnable', labels: { app: 'refused' } }],
  app: { id: 'refused', certificate: { environments: ['development'] } },
  trouble: 'the gateway cuts every connection, since the certificate is one for the sandbox',
  remedy: 'a good certificate in place of the file; workers try it, and go on',
  provoke: async (fleet) => fleet.send('refused', newTokens(1)),
  mend: async (fleet) => fleet.renewCredential('refused'),
};

const wrongTopic: Scenario = {
  alerts: [{ name: 'PushfleetAppPaused', labels: { app: 'off-topic', cause: 'topic' } }],
  app: { id: 'off-topic' },
  trouble: 'the gateway does not take the topic with this certificate (status 6)',
  remedy: 'the topic is set right; workers try again by themselves, and lift the pause',
  async provoke(fleet) {
    await fleet.fault('off-topic', { on: 'binary', action: { kind: 'reject', status: 6 } });
    await fleet.send('off-topic', newTokens(1));
  },
  mend: async (fleet) => fleet.fault('off-topic'),
};

const slowed: Scenario = {
  alerts: [{ name: 'PushfleetAppSlowed', labels: { app: 'slowed', cause: 'answers' } }],
  app: { id: 'slowed', settings: () => ({ transport: 'http2' }) },
  trouble: 'the gateway answers 503 to everything',
  remedy: 'nothing: the gateway serves again, and the rate comes back by itself',
  async provoke(fleet) {
    const action = { kind: 'respond', status: 503, reason: 'ServiceUnavailable' };
    await fleet.fault('slowed', { on: 'http2', action });
    await fleet.send('slowed', newTokens(500));
  },
  mend: async (fleet) => fleet.fault('slowed'),
};

const invalidTokens: Scenario = {
  alerts: [{ name: 'PushfleetAppPaused', labels: { app: 'breaker', cause: 'invalid-tokens' } }],
  app: { id: 'breaker', settings: () => ({ breaker: { rate: 0.5, minimum: 20 } }) },
  trouble: 'the breaker trips on invalid tokens',
  remedy: 'the tokens are those of this environment again; pushfleet resume APP',
  async provoke(fleet) {
    const match = { tokenPrefix: badTokenPrefix };
    await fleet.fault('breaker', { on: 'binary', match, action: { kind: 'reject', status: 8 } });
    await fleet.send('breaker', newTokens(40, badTokenPrefix));
  },
  async mend(fleet) {
    await fleet.fault('breaker');
    await fleet.pushfleet('resume', 'breaker');
  },
};

const byOperator: Scenario = {
  alerts: [{ name: 'PushfleetAppPausedByOperator', labels: { app: 'on-hold', cause: 'operator' } }],
  app: { id: 'on-hold' },
  trouble: 'pushfleet pause APP, and nobody remembers',
  remedy: 'pushfleet resume APP',
  provoke: async (fleet) => void (await fleet.pushfleet('pause', 'on-hold')),
  mend: async (fleet) => void (await fleet.pushfleet('resume', 'on-hold')),
};

const unreachable: Scenario = {
  alerts: ['PushfleetBacklogOld', 'PushfleetNoDeliveries'].map((name) => ({
    name,
    labels: { app: 'cut-off' },
  })),
  app: {
    id: 'cut-off',
    settings: ({ simulator, gatewayProxy }) => ({
      gateway: { host: 'localhost', port: gatewayProxy.port, ca: join(simulator.tlsDir, 'ca.pem') },
      // Workers take no more than this; the rest waits.
      window: 1_000,
    }),
  },
  trouble: 'the gateway cannot be reached',
  remedy: 'the way to the gateway is mended; workers connect by themselves',
  async provoke(fleet) {
    await fleet.parts.gatewayProxy.disable();
    for (let jobs = 0; jobs < 10; jobs += 1) await fleet.send('cut-off', newTokens(1_000));
  },
  mend: async (fleet) => fleet.parts.gatewayProxy.enable(),
};

export const appScenarios: readonly Scenario[] = [
  wrongEnvironment,
  wrongTopic,
  slowed,
  invalidTokens,
  byOperator,
  expiring('expiring', 20, ['PushfleetCredentialExpiring']),
  expiring('expires-soon', 2, ['PushfleetCredentialExpiring', 'PushfleetCredentialExpiresSoon']),
  unreachable,
];
