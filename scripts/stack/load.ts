import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Tokens that begin like this are rejected by the simulator, with status 8. */
export const badTokenPrefix = 'bad0';

/** What one call may hold. */
const batchSize = 5_000;
const requestTimeoutMs = 60_000;

export interface BatchStatus {
  readonly batchId: string;
  readonly app: string;
  readonly state: 'queued' | 'finished';
  readonly size: number;
  readonly queued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

/** Sends through the HTTP API, and remembers what it has sent. */
export class Load {
  readonly #api: string;
  readonly #key: string;
  readonly batches: string[] = [];
  enqueued = 0;
  bad = 0;

  constructor(api: string, key: string) {
    this.#api = api;
    this.#key = key;
  }

  /** Waits until the producer knows the key: it reads them every few seconds. */
  async ready(): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      if (await this.request('GET', '/v1/apps').catch(() => undefined)) return;
      await delay(500);
    }
    await this.request('GET', '/v1/apps');
  }

  /** Registers devices, so that feedback and rejections have something to deactivate. */
  async registerDevices(app: string, tokens: readonly string[]): Promise<void> {
    for (const token of tokens) {
      await this.request('PUT', `/v1/devices/${token}`, { app, userId: `user-${token.slice(-6)}` });
    }
  }

  /** Sends batches to tokens that nobody else has, a share of them bad. */
  async sendBatches(app: string, count: number, badShare: number): Promise<void> {
    for (let left = count; left > 0; left -= batchSize) {
      const size = Math.min(batchSize, left);
      const tokens = Array.from({ length: size }, () => newToken(Math.random() < badShare));
      await this.sendTo(app, tokens, 'bulk');
    }
  }

  async sendTo(app: string, tokens: readonly string[], lane: 'bulk' | 'transactional'): Promise<void> {
    const answer = await this.request('POST', '/v1/notifications', {
      app,
      lane,
      defaults: { alert: 'The stack runs' },
      notifications: tokens.map((token) => ({ token })),
    });
    this.#count((answer as { batchId: string }).batchId, tokens);
  }

  /** Sends one at a time, `concurrency` of them at once, until stopped; some of them to bad tokens where it is said. */
  async sendSingles(app: string, concurrency: number, signal: AbortSignal, badShare = 0): Promise<void> {
    const sender = async () => {
      while (!signal.aborted) {
        const token = newToken(Math.random() < badShare);
        const answer = await this.request('POST', '/v1/notifications', { app, token, alert: 'One by one' });
        this.#count((answer as { batchId: string }).batchId, [token]);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, sender));
  }

  async status(batch: string): Promise<BatchStatus> {
    return (await this.request('GET', `/v1/batches/${batch}`)) as BatchStatus;
  }

  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(`${this.#api}${path}`, {
      method,
      signal: AbortSignal.timeout(requestTimeoutMs),
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  #count(batch: string, tokens: readonly string[]): void {
    this.batches.push(batch);
    this.enqueued += tokens.length;
    this.bad += tokens.filter((token) => token.startsWith(badTokenPrefix)).length;
  }
}

export function newToken(isBad: boolean): string {
  const token = randomBytes(32).toString('hex');
  return isBad ? badTokenPrefix + token.slice(badTokenPrefix.length) : token.replace(/^bad0/, '900d');
}
