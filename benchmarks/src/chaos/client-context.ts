import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type PushfleetClient, PushfleetError } from '@pushfleet/client';
import { createRandom, type Random, randomInt } from '@pushfleet/testkit';
import type { ChaosFleet } from './fleet.ts';
import { type ChaosApp, type ClientMemory, chaosApps, type Remembered } from './memory.ts';

/** How long a call is repeated, milliseconds: more than any fault lasts. */
export const patienceMs = 180_000;

/** What a client works with. */
export interface ClientContext {
  readonly memory: ClientMemory;
  readonly random: Random;
  /** Makes a call until it is answered; undefined when it was refused, which `memory` then knows. */
  ask<Answer>(what: string, call: (api: PushfleetClient) => Promise<Answer>): Promise<Answer | undefined>;
  token(): string;
}

export const pickApp = (random: Random): ChaosApp => chaosApps[randomInt(random, chaosApps.length)]!;
export const contentOf = (mark: string) => ({ alert: `Number ${mark}`, custom: { mark } });

export function remember(
  { memory, token }: ClientContext,
  app: ChaosApp,
  kind: string,
  more: Partial<Remembered> = {},
) {
  const item: Remembered = { app, kind, mark: memory.makeMark(), token: token(), ...more };
  memory.notifications.push(item);
  return item;
}

export function createContext(fleet: ChaosFleet, memory: ClientMemory, seed: number): ClientContext {
  const apis = fleet.apiUrls.map((baseUrl) => createClient({ baseUrl, retries: 0, timeoutMs: 5_000 }));
  const random = createRandom(seed);
  let at = randomInt(random, apis.length);
  return {
    memory,
    random,
    token: () =>
      Array.from({ length: 8 }, () =>
        randomInt(random, 2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      ).join(''),
    async ask(what, call) {
      const endMs = performance.now() + patienceMs;
      for (;;) {
        try {
          return await call(apis[at]!);
        } catch (error) {
          if (!(error instanceof PushfleetError)) throw error;
          const { code, status = 0 } = error;
          // What passes by itself is repeated at the other producer; everything else is not for this client to see.
          const mayPass =
            code === 'unreachable' || code === 'unreadable-answer' || status === 503 || status === 429;
          if (!mayPass || performance.now() > endMs) {
            memory.wrongAnswers.push(`${what}: ${status} ${code}: ${error.message}`);
            return undefined;
          }
          at = (at + 1) % apis.length;
          await delay(200);
        }
      }
    },
  };
}
