import { setTimeout as delay } from 'node:timers/promises';
import { type AlertFleet, badTokenPrefix, newTokens } from '../alert-fleet.ts';
import type { Scenario } from '../scenario.ts';

// What the gateway answers, and how connections end: the group pushfleet-gateway of the alerts.

const rejectBad = {
  on: 'binary',
  match: { tokenPrefix: badTokenPrefix },
  action: { kind: 'reject', status: 8 },
} as const;

/** Sends to good tokens all the time, and to bad ones until they are called off. */
function mixedLoad(app: string, { good, bad, everyMs }: { good: number; bad: number; everyMs: number }) {
  let isClean = false;
  return {
    begin(fleet: AlertFleet): void {
      fleet.keepSending(everyMs, async () =>
        fleet.send(app, [...newTokens(isClean ? 0 : bad, badTokenPrefix), ...newTokens(good)]),
      );
    },
    clean(): void {
      isClean = true;
    },
  };
}

function rejections(): Scenario {
  const app = 'old-tokens';
  const load = mixedLoad(app, { good: 6, bad: 4, everyMs: 200 });
  return {
    alerts: [{ name: 'PushfleetRejectionRateHigh', labels: { app } }],
    app: { id: app, settings: () => ({ transport: 'http2' }) },
    trouble: 'four of ten tokens are those of devices whose app is gone',
    remedy: 'the business service sends to them no more',
    async provoke(fleet) {
      const match = { tokenPrefix: badTokenPrefix };
      await fleet.fault(app, { on: 'http2', match, action: { kind: 'respond', reason: 'Unregistered' } });
      load.begin(fleet);
    },
    mend: async () => load.clean(),
  };
}

function storms(): Scenario {
  const app = 'bad-tokens';
  const load = mixedLoad(app, { good: 200, bad: 2, everyMs: 100 });
  return {
    alerts: ['PushfleetReplayStorm', 'PushfleetReconnectStorm'].map((name) => ({ name, labels: { app } })),
    app: { id: app, settings: () => ({ breaker: { rate: 1 } }) },
    trouble: 'one of a hundred tokens is bad, and each costs the connection and a replay',
    remedy: 'the source of the bad tokens is found, and sends them no more',
    async provoke(fleet) {
      await fleet.fault(app, rejectBad);
      load.begin(fleet);
    },
    mend: async () => load.clean(),
  };
}

const resets: Scenario = {
  alerts: [{ name: 'PushfleetUncertainDeliveries', labels: { app: 'reset' } }],
  app: { id: 'reset', settings: () => ({ confirmAfter: '2s' }) },
  trouble: 'a connection is reset under what was written',
  remedy: 'none is needed for a single one: it is sent again',
  async provoke(fleet) {
    await fleet.fault('reset', { on: 'binary', match: { after: 50 }, times: 1, action: { kind: 'reset' } });
    await fleet.send('reset', newTokens(100));
  },
  mend: async (fleet) => fleet.fault('reset'),
};

function lateErrors(): Scenario {
  const app = 'late-errors';
  const load = mixedLoad(app, { good: 10, bad: 1, everyMs: 500 });
  return {
    alerts: [{ name: 'PushfleetPresumptionWrong', labels: { app } }],
    app: { id: app, settings: () => ({ breaker: { rate: 1 } }) },
    trouble: "the gateway's errors come a second after the write, and confirmAfter is 200 ms",
    remedy: 'confirmAfter is raised above that, and the workers are restarted',
    async provoke(fleet) {
      await fleet.fault(app, { ...rejectBad, action: { ...rejectBad.action, delayMs: 1_000 } });
      load.begin(fleet);
    },
    mend: async (fleet) => fleet.configure(app, { confirmAfter: '5s' }),
  };
}

const swallowed: Scenario = {
  alerts: [{ name: 'PushfleetPresumptionUnconfirmed', labels: { app: 'swallowed' } }],
  app: { id: 'swallowed' },
  trouble:
    'a connection takes what comes and answers nothing, not even the known-bad frame before it is closed',
  remedy: 'the way to the gateway is looked at; the next connection works, and the alert ends by itself',
  async provoke(fleet) {
    await fleet.fault('swallowed', { on: 'binary', action: { kind: 'mute' } });
    await fleet.send('swallowed', newTokens(10));
    // Silence settles them. A renewed certificate then closes the connection, which asks first.
    await delay(2_000);
    await fleet.renewCredential('swallowed');
  },
  mend: async (fleet) => fleet.fault('swallowed'),
};

const proxied: Scenario = {
  alerts: [{ name: 'PushfleetForeignAnswers', labels: { app: 'proxied' } }],
  app: { id: 'proxied', settings: () => ({ transport: 'http2' }) },
  trouble: 'a proxy on the way answers 403 with a page of its own',
  remedy: 'the proxy lets the worker through; what waited is sent by itself',
  async provoke(fleet) {
    const action = { kind: 'respond', status: 403, body: '<html>Forbidden</html>' };
    await fleet.fault('proxied', { on: 'http2', action });
    await fleet.send('proxied', newTokens(20));
  },
  mend: async (fleet) => fleet.fault('proxied'),
};

const canary: Scenario = {
  alerts: ['PushfleetCanaryFailing', 'PushfleetCanaryLate'].map((name) => ({
    name,
    labels: { app: 'canary' },
  })),
  app: {
    id: 'canary',
    settings: () => ({ canary: { token: newTokens(1, badTokenPrefix)[0], every: '10s' } }),
  },
  trouble: "the gateway calls the canary's token invalid",
  remedy: 'the app of that device is installed again, and its token is named in pushfleet.yaml',
  async provoke(fleet) {
    // One arrives first: an alert about the last success needs one.
    await delay(15_000);
    await fleet.fault('canary', rejectBad);
  },
  mend: async (fleet) => fleet.fault('canary'),
};

const feedbackAway: Scenario = {
  alerts: [{ name: 'PushfleetFeedbackUnread', labels: { app: 'unread' } }],
  app: {
    id: 'unread',
    settings: ({ feedbackProxy }) => ({
      feedback: { host: 'localhost', port: feedbackProxy.port, interval: '5s' },
    }),
  },
  trouble: 'the feedback service cannot be reached',
  remedy: 'the way to it is mended; the sweeper reads it by itself',
  provoke: async (fleet) => fleet.parts.feedbackProxy.disable(),
  mend: async (fleet) => fleet.parts.feedbackProxy.enable(),
};

export const gatewayScenarios: readonly Scenario[] = [
  rejections(),
  storms(),
  resets,
  swallowed,
  proxied,
  canary,
  feedbackAway,
];

/** Its remedy restarts the workers. */
export const presumptionScenario: Scenario = lateErrors();
