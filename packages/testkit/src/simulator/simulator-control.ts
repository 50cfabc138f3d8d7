import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

// The simulator's control API (`apps/gateway-simulator/README.md`), JSON over HTTP on loopback. The bodies of faults
// belong to the simulator: it answers 400 and says what is wrong with them.

/** The sums of the ledger; more may stand beside them. */
export interface LedgerCounts {
  readonly received: number;
  readonly unique: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly [more: string]: unknown;
}

/** What the feedback service is to serve. */
export interface FeedbackTuple {
  /** Hexadecimal. */
  readonly token: string;
  /** When the gateway found the app gone, epoch seconds (`docs/protocol/feedback.md#tuples`). */
  readonly time: number;
}

/** Where the simulator has put a push certificate or a provider key; paths. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface IssuedProviderKey {
  readonly p8: string;
  /** JSON with `keyId` and `teamId`. */
  readonly ids: string;
}

/** What happened at one of its ports since the start or the last reset. */
export interface PortCounts {
  readonly accepted: number;
  readonly refused: number;
  readonly handshakeFailed: number;
  readonly wrongEnvironment: number;
  /** Connections that are open now. */
  readonly open: number;
}

/** The simulator refused a request, or answered something unexpected. */
export class SimulatorControlError extends Error {
  override readonly name = 'SimulatorControlError';
  /** Of the HTTP answer; 200 when it was the body that was unexpected. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** How long one request may take, milliseconds. */
const requestTimeoutMs = 30_000;

/** A client of the control API. Every method throws SimulatorControlError. */
export class SimulatorControl {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  async ledger(): Promise<LedgerCounts> {
    const answer = await this.#request('GET', '/ledger');
    const counts = (await answer.json()) as Record<string, unknown>;
    for (const name of ['received', 'unique', 'duplicates', 'rejected']) {
      if (typeof counts[name] !== 'number') {
        throw new SimulatorControlError(
          `The ledger has no count ${name}: ${JSON.stringify(counts)}`,
          answer.status,
        );
      }
    }
    return counts as LedgerCounts;
  }

  /** What the gateway received, one by one, in order; read as it comes, for ledgers of any length. */
  async *notifications(): AsyncGenerator<Readonly<Record<string, unknown>>> {
    const answer = await this.#request('GET', '/ledger/notifications');
    if (answer.body === null) return;
    const lines = createInterface({
      input: Readable.fromWeb(answer.body),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of lines) {
      if (line !== '') yield JSON.parse(line) as Record<string, unknown>;
    }
  }

  /** Sets faults; the body is the simulator's to define and to check. */
  async faults(body: unknown): Promise<unknown> {
    return this.#post('/faults', body);
  }

  async feedback(body: readonly FeedbackTuple[] | Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#post('/feedback', body);
  }

  /** How many notifications are kept one by one; 0: they are only counted, which is the fastest. */
  async record(limit: number): Promise<void> {
    await this.#post('/ledger/recording', { limit });
  }

  async connections(): Promise<Readonly<Record<'binary' | 'feedback' | 'http2', PortCounts>>> {
    const answer = await this.#request('GET', '/connections');
    return (await answer.json()) as Record<'binary' | 'feedback' | 'http2', PortCounts>;
  }

  /** Signs a push certificate for one more app. @param name Of its files. */
  async issueCertificate(
    name: string,
    topic: string,
    environments: readonly ('development' | 'production')[] = ['development', 'production'],
  ): Promise<IssuedCertificate> {
    return (await this.#post('/certificates', { name, topic, environments })) as IssuedCertificate;
  }

  /** Makes one more provider key whose tokens the HTTP/2 gateway accepts. @param name Of its files. */
  async addProviderKey(
    name: string,
    ids: {
      readonly keyId: string;
      readonly teamId: string;
      readonly environment?: 'production' | 'sandbox';
    },
  ): Promise<IssuedProviderKey> {
    return (await this.#post('/provider-keys', { name, ...ids })) as IssuedProviderKey;
  }

  /** Empties the ledger, forgets provider tokens and channels, and takes all faults away. */
  async reset(): Promise<void> {
    await this.#post('/reset', {});
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const answer = await this.#request('POST', path, JSON.stringify(body));
    const text = await answer.text();
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  }

  async #request(method: 'GET' | 'POST', path: string, body?: string): Promise<Response> {
    const answer = await fetch(`${this.#baseUrl}${path}`, {
      method,
      signal: AbortSignal.timeout(requestTimeoutMs),
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
    });
    if (answer.ok) return answer;
    throw new SimulatorControlError(
      `${method} ${path}: ${answer.status} ${await answer.text()}`,
      answer.status,
    );
  }
}
