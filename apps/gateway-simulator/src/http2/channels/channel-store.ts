import { randomBytes } from 'node:crypto';

/** A broadcast channel of an app, for updates of Live Activities. */
export interface Channel {
  readonly id: string;
  /** 0: nothing is stored; 1: the last message is. */
  readonly storagePolicy: 0 | 1;
}

/** As many channels as an app may have. */
const mostChannels = 10_000;

/** The broadcast channels of all apps. */
export class ChannelStore {
  readonly #apps = new Map<string, Map<string, Channel>>();

  /** Undefined when the app has as many as it may have. */
  create(bundleId: string, storagePolicy: 0 | 1): Channel | undefined {
    const channels = this.#apps.get(bundleId) ?? new Map<string, Channel>();
    if (channels.size >= mostChannels) return undefined;
    const channel = { id: randomBytes(18).toString('base64'), storagePolicy };
    this.#apps.set(bundleId, channels.set(channel.id, channel));
    return channel;
  }

  find(bundleId: string, id: string): Channel | undefined {
    return this.#apps.get(bundleId)?.get(id);
  }

  delete(bundleId: string, id: string): boolean {
    return this.#apps.get(bundleId)?.delete(id) ?? false;
  }

  idsOf(bundleId: string): string[] {
    return [...(this.#apps.get(bundleId)?.keys() ?? [])];
  }

  reset(): void {
    this.#apps.clear();
  }
}
