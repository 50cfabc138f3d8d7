import {
  createRedisTokenStore,
  locateCredential,
  ProviderTokenSource,
  watchCredential,
} from '@pushfleet/apns-credentials';
import type { FleetApp } from '@pushfleet/service-kit';
import type { BinaryPeer } from '../binary-gateway.ts';
import type { Http2Peer } from '../http2-gateway.ts';
import type { Files, Row } from '../run-row.ts';
import { minuteMs, reason, secondMs } from './gateways-in-trouble.ts';

/** Whether the client's certificate is one of ours. */
const isTrusted = ({ socket }: BinaryPeer | Http2Peer): boolean => socket.authorized;

const foreign = (_: FleetApp, { path }: Files): Partial<FleetApp> => ({
  credential: { cert: path('foreign.pem'), key: path('foreign-key.pem') },
});
const otherAuthority = ({ gateway }: FleetApp, { path }: Files): Partial<FleetApp> => ({
  gateway: { ...gateway, ca: path('other-ca.pem') },
});
const same = () => ({});
const providerKey = (_: FleetApp, { path, certificates }: Files): Partial<FleetApp> => {
  const { keyId, teamId } = certificates.providerKey;
  return { credential: { p8: path('AuthKey.p8'), keyId, teamId } };
};

/** One of two workers cannot send, or has signed a token that is no good. */
export const illWorkers: readonly Row[] = [
  ...(['binary', 'http2'] as const).flatMap((transport): Row[] => [
    {
      name: 'two workers, one with other authorities',
      transport,
      bars: { recoveryMs: 6 * secondMs },
      workers: [same, otherAuthority],
      gateway: () => ({}),
    },
    {
      name: 'two workers, one with a certificate that the gateway does not take',
      bars: { recoveryMs: 6 * secondMs },
      workers: [same, foreign],
      ...(transport === 'binary'
        ? { transport, gateway: () => ({ accepts: isTrusted }) }
        : {
            transport,
            gateway: () => ({
              request: (_: unknown, peer: Http2Peer) =>
                isTrusted(peer) ? 'take' : reason(403, 'BadCertificate'),
            }),
          }),
    },
  ]),
  {
    name: 'provider token signed by a clock ten minutes fast',
    transport: 'http2',
    bars: { recoveryMs: 10 * secondMs, calls: 4_100 },
    workers: [providerKey, providerKey],
    prepare: async (rig, files) => {
      const { credential } = providerKey(undefined as never, files);
      const watched = await watchCredential(locateCredential(credential!));
      const source = new ProviderTokenSource({
        credential: watched,
        store: createRedisTokenStore(rig.redis, rig.prefix),
        now: () => Date.now() + 10 * minuteMs,
      });
      await source.refresh();
      source.close();
      watched.close();
    },
    gateway: () => ({
      request: ({ headers }) => {
        const [, claims = ''] = String(headers.authorization).split('.');
        const { iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number };
        return iat * 1_000 > Date.now() + minuteMs ? reason(403, 'InvalidProviderToken') : 'take';
      },
    }),
  },
];
