import { streamLimit } from '../http2-gateway.ts';
import type { Row } from '../run-row.ts';
import { everyNth, minuteMs, reason, secondMs, wide } from './gateways-in-trouble.ts';

/** Silence that is wrong, and answers or proof that come late or not at all. */
export const wrongSilence: readonly Row[] = [
  {
    name: 'command 0 with bad tokens',
    transport: 'binary',
    bars: { rejected: 5, doubledPerConnection: 1_000 },
    app: { ...wide, commandVersion: 0 },
    gateway: (scene) => {
      const bad = everyNth(scene, 800);
      return { frame: ({ token }) => (bad.has(token) ? 'hang-up' : 'take') };
    },
  },
  {
    name: 'bad tokens',
    transport: 'http2',
    bars: { rejected: 5, recoveryMs: 3 * secondMs },
    gateway: (scene) => {
      const bad = everyNth(scene, 800);
      return { request: ({ token }) => (bad.has(token) ? reason(400, 'BadDeviceToken') : 'take') };
    },
  },
  {
    name: 'never answers known-bad frames, proved',
    transport: 'binary',
    bars: { waits: true, copies: 2, doubled: 4_000 },
    app: { confirm: 'proved' },
    limitMs: 10 * minuteMs,
    gateway: () => ({ knownBad: () => 'ignore' }),
  },
  {
    name: 'takes everything, answers nothing',
    transport: 'http2',
    bars: { waits: true, doubled: 100 },
    limitMs: 10 * minuteMs,
    gateway: () => ({ request: () => 'take-and-hang' }),
  },
  ...(['presumed', 'proved'] as const).map(
    (confirm): Row => ({
      name: `connection 1 reads nothing for 30 s, then all, ${confirm}`,
      transport: 'binary',
      bars: { doubledPerConnection: confirm === 'proved' ? 4_000 : 0, copies: 2 },
      app: { ...wide, confirm },
      spellMs: 30 * secondMs,
      gateway: ({ time }) => ({
        frame: (_, { number, frames, socket }) => {
          if (number === 1 && frames === 200) {
            time.traffic.stalls(socket.remotePort!);
            socket.pause();
            setTimeout(
              () => {
                time.traffic.reads(socket.remotePort!);
                socket.resume();
              },
              30 * secondMs - time.nowMs,
            );
          }
          return 'take';
        },
      }),
    }),
  ),
  ...(['presumed', 'proved'] as const).map(
    (confirm): Row => ({
      name: `connection 1 swallows what comes after the 200th, ${confirm}`,
      transport: 'binary',
      bars: confirm === 'proved' ? { doubled: 200, copies: 2 } : { lost: 3_800 },
      app: { ...wide, confirm },
      gateway: () => ({
        frame: (_, { number, frames }) => (number === 1 && frames > 200 ? 'ignore' : 'take'),
        knownBad: (_, { number }) => (number === 1 ? 'ignore' : { status: 2 }),
      }),
    }),
  ),
  {
    name: 'connection 1 answers 5, then PINGs only',
    transport: 'http2',
    bars: { recoveryMs: 40 * secondMs },
    gateway: () => ({
      request: (_, { number, requests }) => (number === 1 && requests > 5 ? 'hang' : 'take'),
    }),
  },
  {
    name: 'return path of connection 1 dies, proved',
    transport: 'binary',
    bars: { doubled: 1_000, copies: 2, recoveryMs: 90 * secondMs },
    app: { confirm: 'proved' },
    gateway: () => ({ knownBad: (_, { number }) => (number === 1 ? 'ignore' : { status: 2 }) }),
  },
  {
    name: 'return path of connection 1 dies',
    transport: 'http2',
    bars: { doubled: streamLimit, copies: 2, recoveryMs: 40 * secondMs },
    gateway: () => ({
      request: (_, { number, requests, wire }) => {
        if (number === 1 && requests > 5) wire.returnIsDead = true;
        return 'take';
      },
    }),
  },
  {
    name: 'errors come 200 to 800 ms late',
    transport: 'binary',
    bars: { rejected: 8, writtenEach: 5 },
    app: wide,
    gateway: (scene) => {
      const bad = everyNth(scene, 500);
      let errors = 0;
      return {
        frame: ({ token }) =>
          bad.has(token) ? { status: 8, delayMs: 200 + ((errors++ * 173) % 601) } : 'take',
      };
    },
  },
  {
    name: 'refusals come 200 to 800 ms late',
    transport: 'http2',
    bars: { rejected: 8, recoveryMs: 4 * secondMs },
    gateway: (scene) => {
      const bad = everyNth(scene, 500);
      let errors = 0;
      return {
        request: ({ token }) =>
          bad.has(token)
            ? { ...reason(400, 'BadDeviceToken'), delayMs: 200 + ((errors++ * 173) % 601) }
            : 'take',
      };
    },
  },
  {
    name: 'one malformed answer among 700',
    transport: 'http2',
    bars: { recoveryMs: 40 * secondMs },
    gateway: () => {
      let requests = 0;
      return { request: () => (++requests === 700 ? 'malformed' : 'take') };
    },
  },
];
