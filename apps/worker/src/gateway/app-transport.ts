import type { Transport } from '@pushfleet/apns-client';
import type { AppTrouble, Lane } from '@pushfleet/push-queue';
import type { Loop } from '../loop.ts';
import type { AppPauses } from '../standing/app-pauses.ts';
import { LaneTransport } from './lane-transport.ts';
import { TransportBuilder, type TransportBuilderOptions } from './transport-builder.ts';

export interface AppTransportOptions extends TransportBuilderOptions {
  readonly pauses: AppPauses;
  readonly loop: Loop;
}

/**
 * How an app reaches its gateway. An app of two connections or more has one of them for the transactional lane alone: what
 * bulk has written into a socket, and what it has to replay, does not delay it (docs/decisions/0021-lanes.md). With one
 * connection the lanes share it.
 */
export class AppTransport {
  readonly lanes: Readonly<Record<Lane, LaneTransport>>;
  /** Each once. */
  readonly #all: ReadonlySet<LaneTransport>;

  constructor(options: AppTransportOptions) {
    const { app, pauses, loop } = options;
    const builder = new TransportBuilder(options);
    const create = (of: Lane, connections: number) =>
      new LaneTransport({ of, connections, builder, pauses, loop });
    const bulk = create('bulk', Math.max(1, app.connections - 1));
    this.lanes = { bulk, transactional: app.connections === 1 ? bulk : create('transactional', 1) };
    this.#all = new Set(Object.values(this.lanes));
  }

  /** Those that there has been work for. */
  get transports(): readonly Transport[] {
    return [...this.#all].flatMap(({ transport }) => transport ?? []);
  }

  /** What keeps this worker from sending, as it is now. */
  get trouble(): AppTrouble | undefined {
    return this.lanes.bulk.trouble ?? this.lanes.transactional.trouble;
  }

  /** Hands back what has not been written. */
  recall(): void {
    for (const transport of this.#all) transport.recall();
  }

  /** Builds anew those that could not be built. */
  rebuild(): void {
    for (const transport of this.#all) transport.rebuild();
  }

  /** Asks the gateway whether a trouble is over. */
  probeNow(): void {
    for (const transport of this.#all) transport.probeNow();
  }

  /** To be called now and then. `epochMs`: by the system's clock. */
  tick(epochMs: number): void {
    for (const transport of this.#all) transport.tick(epochMs);
  }

  /** Asks the gateway about nothing more. The next work builds anew. */
  retire(): void {
    for (const transport of this.#all) transport.retire();
  }

  /** Ends the connections at once. The next work builds anew. */
  cut(): void {
    for (const transport of this.#all) transport.cut();
  }

  async drain(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#all].map(async (transport) => transport.drain(deadlineMs)));
  }
}
