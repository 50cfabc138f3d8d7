import { ConnectionAllowance, type Transport, type TransportFigures } from '@pushfleet/apns-client';
import type { AppTrouble, Lane } from '@pushfleet/push-queue';
import type { Loop } from '../loop.ts';
import type { AppPauses } from '../standing/app-pauses.ts';
import { LaneTransport } from './lane-transport.ts';
import { TransportBuilder, type TransportBuilderOptions } from './transport-builder.ts';

export interface AppTransportOptions extends Omit<TransportBuilderOptions, 'allowance'> {
  /** What all apps share of connections. */
  readonly allowance: ConnectionAllowance;
  readonly pauses: AppPauses;
  readonly loop: Loop;
}

/**
 * How an app reaches its gateway. An app of two connections or more has one of them for the transactional lane alone: what
 * bulk has written into a socket, and what it has to replay, does not delay it (docs/decisions/0021-lanes.md). On HTTP/2
 * either lane may have more of them, as far as there are. With one connection the lanes share it.
 */
export class AppTransport {
  readonly lanes: Readonly<Record<Lane, LaneTransport>>;
  /** Each once. */
  readonly #all: ReadonlySet<LaneTransport>;

  constructor(options: AppTransportOptions) {
    const { app, pauses, loop } = options;
    // The first connection of each lane needs no leave, so that the transactional lane finds one at any time.
    const allowance = new ConnectionAllowance(Math.max(0, app.connections - 2), options.allowance);
    const builder = new TransportBuilder({ ...options, allowance });
    const create = (of: Lane, connections: number) =>
      new LaneTransport({ of, connections, builder, pauses, loop });
    const bulk = create('bulk', Math.max(1, app.connections - 1));
    const most = app.transport === 'http2' ? Math.max(1, app.connections - 1) : 1;
    this.lanes = { bulk, transactional: app.connections === 1 ? bulk : create('transactional', most) };
    this.#all = new Set(Object.values(this.lanes));
  }

  /** Those that there has been work for. */
  get transports(): readonly Transport[] {
    return [...this.#all].flatMap(({ transport }) => transport ?? []);
  }

  /** What they have of connections, and want. The one that the transactional lane is kept is `reserved`. */
  get figures(): readonly TransportFigures[] {
    const { bulk, transactional } = this.lanes;
    return [...this.#all].flatMap((lane) => {
      const figures = lane.transport?.figures;
      if (figures === undefined) return [];
      const isReserved = lane === transactional && lane !== bulk && figures.need === 'least';
      return [isReserved ? { ...figures, need: 'reserved' as const } : figures];
    });
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
