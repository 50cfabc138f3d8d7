/** What the producer says of a batch. */
export interface BatchState {
  readonly size: number;
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

  /** Gives the id of the batch. */
  async send(body: Readonly<Record<string, unknown>>): Promise<string> {
    const { batchId } = (await this.#request('POST', '/v1/notifications', body)) as { batchId: string };
    return batchId;
  }

  async batch(id: string): Promise<BatchState> {
    return (await this.#request('GET', `/v1/batches/${id}`)) as BatchState;
  }

  async isActive(app: string, token: string): Promise<boolean> {
    const device = (await this.#request('GET', `/v1/devices/${token}?app=${app}`)) as { active: boolean };
    return device.active;
  }

  async #request(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#baseUrl + path, {
      method,
      signal: AbortSignal.timeout(requestTimeoutMs),
      ...(body === undefined
        ? {}
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
