import type { NotificationRun } from '../transport/transport.ts';
import { Http2Run } from './run.ts';

const undeliverable: NotificationRun = {
  columns: {
    count: 1,
    tokens: new Uint8Array(32),
    tokenOffsets: Uint32Array.of(0, 32),
    payloads: new Uint8Array(0),
    payloadOffsets: Uint32Array.of(0, 0),
    payloadOf: Uint16Array.of(0),
    expirations: Uint32Array.of(0),
    priorities: Uint8Array.of(5),
  },
  sink: { written: () => undefined, settled: () => undefined },
  http2: {
    pushType: 'alert',
    collapseId: null,
    apnsId: () => '00000000-0000-4000-8000-000000000000',
  },
};

/**
 * A request that can reach no device: a token of zeros, and no payload. An answer of the gateway's own that is not about
 * the credential, the topic or trouble of its own shows that it lets us send. The counterpart of binary's known-bad frame.
 */
export class Probe extends Http2Run {
  constructor(topic: string) {
    super(undeliverable, { topic, tally: { inFlight: 0 } });
  }
}
