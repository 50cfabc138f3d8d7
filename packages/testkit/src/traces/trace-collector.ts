import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { type ReceivedSpan, readOtlpSpans } from './otlp-spans.ts';

/** A stand-in for a collector of traces: takes OTLP over HTTP and keeps the spans. */
export interface TraceCollector {
  readonly url: string;
  /** For a service that is to hand its traces over here, soon. */
  readonly env: Readonly<Record<string, string>>;
  /** In the order they came. */
  readonly spans: readonly ReceivedSpan[];
  /** Headers of all requests. */
  readonly requests: readonly NodeJS.Dict<string | string[]>[];
  /** From now on it answers with this status; 200: it takes what comes. */
  answerWith(status: number): void;
  close(): Promise<void>;
}

export async function openTraceCollector(): Promise<TraceCollector> {
  const spans: ReceivedSpan[] = [];
  const requests: NodeJS.Dict<string | string[]>[] = [];
  let status = 200;
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    requests.push(request.headers);
    const body = await buffer(request);
    const isOurs = request.method === 'POST' && request.url === '/v1/traces';
    const answer = isOurs ? status : 404;
    if (answer === 200) {
      const isPacked = request.headers['content-encoding'] === 'gzip';
      spans.push(...readOtlpSpans(isPacked ? gunzipSync(body) : body));
    }
    response.writeHead(answer, { 'content-type': 'application/x-protobuf' }).end();
  };
  const server = createServer((request, response) => void take(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '100' },
    spans,
    requests,
    answerWith(next) {
      status = next;
    },
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
