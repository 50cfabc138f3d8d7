/** What the producer says of a batch or a broadcast. */
export interface SendState {
  /** Whether all of it is enqueued and has its outcome. */
  readonly isComplete: boolean;
  readonly isFannedOut: boolean;
  readonly enqueued: number;
  readonly queued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

/** How long one request may take, milliseconds. */
const requestTimeoutMs = 60_000;

/** The producer's HTTP API, as a business service calls it. Every method throws when the answer is not a success. */
export class ProducerApi {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  async registerDevice(app: string, token: string): Promise<void> {
    await this.#request('PUT', `/v1/devices/${token}`, { app });
  }

  /** Registers many devices in one call; returns how many. */
  async importDevices(app: string, tokens: readonly string[]): Promise<number> {
    const lines = tokens.map((token) => `${JSON.stringify({ token })}\n`).join('');
    const path = `/v1/devices/import?app=${app}`;
    const { imported } = (await this.#request('POST', path, lines)) as { imported: number };
    return imported;
  }

  /** Returns the id of the batch. */
  async send(body: Readonly<Record<string, unknown>>): Promise<string> {
    const { batchId } = (await this.#request('POST', '/v1/notifications', body)) as { batchId: string };
    return batchId;
  }

  /** Returns the id of the broadcast. */
  async broadcast(body: Readonly<Record<string, unknown>>): Promise<string> {
    const { broadcastId } = (await this.#request('POST', '/v1/broadcasts', body)) as { broadcastId: string };
    return broadcastId;
  }

  async batchState(id: string): Promise<SendState> {
    const batch = (await this.#request('GET', `/v1/batches/${id}`)) as SendState & { size: number };
    return { ...batch, isComplete: true, isFannedOut: true, enqueued: batch.size };
  }

  async broadcastState(id: string): Promise<SendState> {
    const broadcast = (await this.#request('GET', `/v1/broadcasts/${id}`)) as SendState & { state: string };
    const { state } = broadcast;
    return { ...broadcast, isComplete: state === 'finished', isFannedOut: state !== 'running' };
  }

  async isActive(app: string, token: string): Promise<boolean> {
    const device = (await this.#request('GET', `/v1/devices/${token}?app=${app}`)) as { active: boolean };
    return device.active;
  }

  /** @param body An object goes as JSON, text as NDJSON. */
  async #request(method: string, path: string, body?: object | string): Promise<unknown> {
    const response = await fetch(this.#baseUrl + path, {
      method,
      signal: AbortSignal.timeout(requestTimeoutMs),
      ...(body === undefined
        ? {}
        : typeof body === 'string'
          ? { body, headers: { 'content-type': 'application/x-ndjson' } }
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

/** Calls for every item, so many at a time. */
export async function forEach<Item>(
  items: readonly Item[],
  atOnce: number,
  call: (item: Item, place: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < items.length) {
      const place = next++;
      await call(items[place]!, place);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, caller));
}
