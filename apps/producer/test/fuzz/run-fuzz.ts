import { readFile } from 'node:fs/promises';
import { generateTokens } from '@pushfleet/testkit';
import fc from 'fast-check';
import { arbitraryRequest, type FuzzedDocument, type FuzzedRequest } from './arbitrary-requests.ts';
import { exchangeBytes } from './exchange-bytes.ts';
import { goodRequests } from './good-requests.ts';
import { arbitraryExchange, type Exchange } from './hostile-requests.ts';

export interface FuzzRun {
  readonly port: number;
  readonly requests: number;
  /** The same one gives the same exchanges in the same order. */
  readonly seed: number;
  /** Exchanges under way at once. */
  readonly concurrency?: number;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzResult {
  /** Status → answers. */
  readonly statuses: ReadonlyMap<string, number>;
  /** What was not right, the first ones. */
  readonly faults: readonly string[];
}

export const fuzzedApps = ['shop', 'news'] as const;
/** Stands in every text that is made. */
export const fuzzedSecret = 'qzSECRETqz';
export const fuzzedTokens = generateTokens({ count: 3, seed: 29 });

/** Made at once: memory, and how far a replay has to go. */
const sliceLength = 500;
const maxFaults = 20;

/** Throws everything at a producer, and gives what it answered. */
export async function runFuzz(run: FuzzRun): Promise<FuzzResult> {
  const text = await readFile(new URL('../../../../docs/openapi.json', import.meta.url), 'utf8');
  const document = JSON.parse(text) as FuzzedDocument;
  const good = goodRequests(fuzzedApps, fuzzedTokens);
  const ids = await idsOf(run.port, good);
  const requests = arbitraryRequest(document, {
    ids,
    apps: fuzzedApps,
    tokens: fuzzedTokens,
    secret: fuzzedSecret,
  });
  const exchanges = arbitraryExchange(requests, good);
  const statuses = new Map<string, number>();
  const faults: string[] = [];
  const check = async (exchange: Exchange, place: number) => {
    const { status, code, isHung } = await exchangeBytes(run.port, exchange);
    const name = isHung ? 'hung' : status === undefined ? `none (${exchange.kind})` : String(status);
    statuses.set(name, (statuses.get(name) ?? 0) + 1);
    const fault = faultOf(exchange, { status, code, isHung });
    if (fault !== undefined && faults.length < maxFaults) {
      faults.push(`exchange ${place} (seed ${run.seed}): ${fault}: ${described(exchange)}`);
    }
  };
  for (let from = 0; from < run.requests; from += sliceLength) {
    const numRuns = Math.min(sliceLength, run.requests - from);
    const slice = fc.sample(exchanges, { numRuns, seed: run.seed + from });
    let next = 0;
    const work = async () => {
      for (let place = next++; place < slice.length; place = next++) await check(slice[place]!, from + place);
    };
    await Promise.all(Array.from({ length: run.concurrency ?? 24 }, work));
    run.onProgress?.(from + numRuns);
  }
  return { statuses, faults };
}

/** Stores some of everything, and gives its ids, so that what is asked by id finds something. */
async function idsOf(port: number, good: readonly FuzzedRequest[]): Promise<string[]> {
  const ids: string[] = [];
  for (const { method, url, body } of good) {
    const answer = await fetch(`http://127.0.0.1:${port}${url}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    for (const [, id = ''] of (await answer.text()).matchAll(/[iI]ds?":\[?"([0-9a-f-]{36})"/g)) ids.push(id);
  }
  return ids;
}

/** Bodies that may find no room beside others. */
const largeBytes = 64 * 1024;

function faultOf(
  exchange: Exchange,
  { status, code, isHung }: { status: number | undefined; code: string | undefined; isHung: boolean },
): string | undefined {
  if (isHung) return 'no answer';
  if (exchange.kind === 'aborted') return undefined;
  if (status === undefined) {
    // What is no request may be answered by the end of the connection; an early answer may be lost in a reset.
    return exchange.kind === 'noise' || sizeOf(exchange) > largeBytes ? undefined : 'the connection ended';
  }
  if (status === 503 && code === 'backpressure' && sizeOf(exchange) > largeBytes) return undefined;
  if (status >= 400 && code === undefined) return `answered ${status} in words that are not the API's`;
  return status >= 500 ? `answered ${status} ${code ?? ''}` : undefined;
}

function sizeOf(exchange: Exchange): number {
  return exchange.kind === 'slow'
    ? exchange.pieces.reduce((sum, { length }) => sum + length, 0)
    : exchange.bytes.length;
}

function described(exchange: Exchange): string {
  const bytes = exchange.kind === 'slow' ? Buffer.concat(exchange.pieces) : exchange.bytes;
  return `${exchange.kind} ${JSON.stringify(bytes.toString('latin1', 0, 400))}`;
}
