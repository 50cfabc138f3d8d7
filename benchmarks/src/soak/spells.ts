import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { simulatorApp, writeFleetFile } from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { enqueueBulk } from '../bulk.ts';
import { benchApp, type Fleet, startFleet } from '../fleet.ts';
import { readAppTotals, settledOf } from '../totals.ts';

export interface SpellsOptions {
  /** How long the trouble lasts, seconds. */
  readonly seconds: number;
  /** Notifications in each spell. */
  readonly size: number;
  readonly say: (line: string) => void;
}

type Port = 'binary' | 'http2';

interface Spell {
  readonly name: string;
  readonly transport: Port;
  /** Rules of the simulator, in force for the length of the spell. */
  readonly rules: readonly Readonly<Record<string, unknown>>[];
  /** One of two workers knows other authorities. */
  readonly hasIllWorker?: boolean;
  /** Notifications that the end of one connection may have sent twice. */
  readonly doublesPerConnection: number;
}

/** Settings of the app: what one connection may have in flight is little. */
const settings = {
  binary: { transport: 'binary', connections: 2, window: 1_000, confirmAfter: '500ms' },
  http2: { transport: 'http2', connections: 2, window: 1_000, streams: 500 },
} as const;
/** How long everything may take to settle once the spell is over, milliseconds. */
const settleTimeoutMs = 300_000;

const spells: readonly Spell[] = [
  {
    name: '503',
    transport: 'http2',
    rules: [{ on: 'http2', action: { kind: 'respond', reason: 'ServiceUnavailable' } }],
    doublesPerConnection: 0,
  },
  {
    name: 'flap',
    transport: 'binary',
    rules: [{ on: 'binary', match: { after: 300 }, action: { kind: 'close' } }],
    doublesPerConnection: 300,
  },
  {
    name: 'a connection stuck on 500',
    transport: 'http2',
    rules: [
      { on: 'http2', match: { connection: 1 }, action: { kind: 'respond', reason: 'InternalServerError' } },
    ],
    doublesPerConnection: 0,
  },
  ...(['binary', 'http2'] as const).map((transport) => ({
    name: `two workers, one with other authorities, ${transport}`,
    transport,
    rules: [],
    hasIllWorker: true,
    doublesPerConnection: 0,
  })),
];

/**
 * Sends through spells of trouble: none of them is a notification's own, so none may end as dead or lost, and what
 * comes twice stays within what the connections that ended had in flight.
 */
export async function runSpells({ seconds, size, say }: SpellsOptions): Promise<boolean> {
  let ok = true;
  for (const spell of spells) ok = (await runSpell(spell, seconds * 1_000, size, say)) && ok;
  return ok;
}

async function runSpell(
  spell: Spell,
  ms: number,
  size: number,
  say: (line: string) => void,
): Promise<boolean> {
  const { name, transport, rules, doublesPerConnection } = spell;
  const app = settings[transport];
  const fleet = await startFleet({
    app,
    simulatorArgs: ['--record-limit', '0', '--max-unique', String(2 * size)],
  });
  try {
    const { control } = fleet.simulator;
    await control.faults({ rules: rules.map((rule) => ({ ...rule, forMs: ms })) });
    await enqueueBulk(fleet.queue, size);
    const startMs = performance.now();
    if (spell.hasIllWorker === true) await startIllWorker(fleet, app);
    await fleet.startWorker();
    if (rules.length > 0) await delay(ms);
    const atEnd = await control.ledger();
    const endMs = performance.now();
    const totals = await settle(fleet);
    const { unique, duplicates } = await control.ledger();
    const { accepted } = (await control.connections())[transport];
    const bound = accepted * doublesPerConnection;
    const lost = size - unique;
    const ok = totals.dead === 0 && totals.accepted === size && lost === 0 && duplicates <= bound;
    say(
      `${name}: ${ok ? 'kept' : 'NOT KEPT'}; accepted ${totals.accepted} of ${size}, dead ${totals.dead}, lost ${lost}, ` +
        `duplicates ${duplicates} (at most ${bound}), ${accepted} connections; ` +
        `${atEnd.received + atEnd.rejected} calls in the spell of ${Math.round((endMs - startMs) / 1_000)} s, ` +
        `settled ${((performance.now() - endMs) / 1_000).toFixed(1)} s after it`,
    );
    return ok;
  } finally {
    await fleet.stop();
  }
}

async function startIllWorker(fleet: Fleet, app: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = join(dirname(fleet.configPath), 'ill');
  const authority = await TestAuthority.create();
  const own = simulatorApp(fleet.simulator, app) as { readonly gateway: object };
  const ca = join(dirname(fleet.configPath), 'other-ca.pem');
  await mkdir(folder);
  await writeFile(ca, authority.certificatePem);
  const configPath = await writeFleetFile(folder, {
    [benchApp]: { ...own, gateway: { ...own.gateway, ca } },
  });
  await fleet.startWorker({ PUSHFLEET_CONFIG: configPath });
}

async function settle(fleet: Fleet) {
  const deadlineMs = performance.now() + settleTimeoutMs;
  for (;;) {
    const totals = await readAppTotals(fleet.redis, benchApp);
    if (settledOf(totals) === totals.enqueued || performance.now() > deadlineMs) return totals;
    await delay(100);
  }
}
