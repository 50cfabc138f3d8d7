import type { Redis } from 'ioredis';
import { doorbellChannel } from './keys.ts';
import { RedisLink } from './link.ts';

export interface DoorbellOptions {
  /** A URL, or a client whose options are taken over. */
  readonly redis: string | Redis;
  readonly prefix: string;
  /** `what`: a lane, `control` or `outcomes`. Must not throw. */
  readonly onRing: (app: string, what: string) => void;
  /** Rings may have been missed until now: look at everything. Must not throw. */
  readonly onListening: () => void;
}

/**
 * Hears when something happens in any app, over one connection for all of them. A ring may be lost with its
 * connection: whoever listens also looks from time to time.
 */
export class Doorbell {
  readonly #link: RedisLink;

  constructor(options: DoorbellOptions) {
    const channel = doorbellChannel(options.prefix);
    this.#link = new RedisLink(options.redis, 'pushfleet:doorbell', {
      // The client's own promise to subscribe again belongs to nobody: its rejection would end the process.
      autoResubscribe: false,
    });
    const { client } = this.#link;
    client.on('message', (from: string, text: string) => {
      if (from !== channel) return;
      const slash = text.indexOf('/');
      if (slash > 0) options.onRing(text.slice(0, slash), text.slice(slash + 1));
    });
    client.on('ready', () => {
      client.subscribe(channel).then(
        () => options.onListening(),
        // The connection is gone again: the next one subscribes.
        () => undefined,
      );
    });
  }

  close(): void {
    this.#link.client.disconnect();
  }
}
