import { setTimeout as delay } from 'node:timers/promises';
import { type Random, randomInt } from '@pushfleet/testkit';
import type { ChaosFault } from './fault.ts';
import type { ChaosFleet, Edges, Slot } from './fleet.ts';

function slotsOf(fleet: ChaosFleet, kind: Slot['kind']): readonly Slot[] {
  return fleet.slots.filter((slot) => slot.kind === kind);
}

function service(
  kind: Slot['kind'],
  how: 'kill' | 'stop' | 'freeze',
  leavesDoubt: boolean,
  weight = 1,
): ChaosFault {
  const words = { kill: 'is killed', stop: 'is asked to stop', freeze: 'stands still' };
  return {
    name: `a ${kind} ${words[how]}`,
    weight,
    leavesDoubt,
    async run(fleet, random) {
      const slots = slotsOf(fleet, kind);
      const slot = slots[randomInt(random, slots.length)]!;
      if (how === 'freeze') {
        slot.signal('SIGSTOP');
        await delay(1_000 + randomInt(random, 19_000));
        slot.signal('SIGCONT');
        return;
      }
      await slot.end(how);
      await delay(randomInt(random, 2_000));
      await slot.ensureStarted();
    },
  };
}

function edge(name: keyof Edges, leavesDoubt: boolean): readonly ChaosFault[] {
  const fault = (
    what: string,
    run: (proxy: Edges[keyof Edges], random: Random) => Promise<void>,
    doubt = leavesDoubt,
  ): ChaosFault => ({
    name: `edge ${name}: ${what}`,
    weight: 0.5,
    leavesDoubt: doubt,
    transport: name === 'binary gateway' ? 'binary' : name === 'HTTP/2 gateway' ? 'http2' : undefined,
    run: async ({ edges }, random) => run(edges[name], random),
  });
  return [
    fault('cut', async (proxy) => proxy.cut('reset')),
    fault('closed', async (proxy, random) => {
      await proxy.disable();
      proxy.cut('reset');
      await delay(500 + randomInt(random, 5_000));
      await proxy.enable();
    }),
    fault('black hole', async (proxy, random) => {
      const undo = [
        proxy.add('upstream', { type: 'timeout', timeoutMs: 0 }),
        proxy.add('downstream', { type: 'timeout', timeoutMs: 0 }),
      ];
      await delay(1_000 + randomInt(random, 6_000));
      for (const end of undo) end();
      // What went into the hole is lost: no stream can go on without it.
      proxy.cut('reset');
    }),
    fault('slow', async (proxy, random) => {
      const undo = proxy.add('downstream', {
        type: 'latency',
        latencyMs: 100 + randomInt(random, 300),
        jitterMs: 50,
      });
      await delay(2_000 + randomInt(random, 4_000));
      undo();
    }),
  ];
}

/** What processes do, and the ways between them. */
export const processFaults: readonly ChaosFault[] = [
  service('worker', 'stop', false, 3),
  service('producer', 'kill', false, 2),
  service('producer', 'stop', false),
  service('producer', 'freeze', false),
  service('sweeper', 'kill', false, 2),
  service('sweeper', 'stop', false),
  service('sweeper', 'freeze', false),
  ...edge('client to producer 1', false),
  ...edge('client to producer 2', false),
  ...edge('producer to Redis', false),
  ...edge('sweeper to Redis', false),
  ...edge('Postgres', false),
  service('worker', 'kill', true, 5),
  service('worker', 'freeze', true, 3),
  ...edge('binary gateway', true),
  ...edge('HTTP/2 gateway', true),
  ...edge('worker to Redis', true),
];
