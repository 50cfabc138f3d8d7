import type { SectionModule } from './section.ts';

export interface Section {
  readonly name: string;
  /** What it measures. */
  readonly title: string;
  readonly load: () => Promise<SectionModule>;
}

/** In the order in which they run. */
export const sections: readonly Section[] = [
  {
    name: 'encode',
    title: 'notifications encoded as binary frames, one core',
    load: async () => import('./sections/encode.ts'),
  },
  {
    name: 'stream',
    title: 'the binary transport with full accounting, against a bare TLS socket and against apn 1.7.8',
    load: async () => import('./sections/stream.ts'),
  },
  {
    name: 'http2',
    title:
      'the HTTP/2 transport with full accounting, against node:http2, @parse/node-apn and apns2, into nghttpd',
    load: async () => import('./sections/http2.ts'),
  },
  {
    name: 'distance',
    title: 'HTTP/2 and binary at 0 to 150 ms round trip, against @parse/node-apn and apns2',
    load: async () => import('./sections/distance.ts'),
  },
  {
    name: 'bad-tokens',
    title: 'what bad tokens cost on binary, and that they neither lose nor double another',
    load: async () => import('./sections/bad-tokens.ts'),
  },
  {
    name: 'queue',
    title: 'Redis to gateway, one worker process, against a bare BullMQ worker that encodes and writes',
    load: async () => import('./sections/queue.ts'),
  },
  {
    name: 'singles',
    title: "single sends by the library, to the gateway, against BullMQ's own rate",
    load: async () => import('./sections/singles.ts'),
  },
  {
    name: 'http',
    title: 'single sends over the HTTP API, against a bare Fastify route',
    load: async () => import('./sections/http.ts'),
  },
  {
    name: 'broadcast',
    title: 'fan-out of a broadcast to a million devices',
    load: async () => import('./sections/broadcast.ts'),
  },
  {
    name: 'audience',
    title: 'a broadcast to a million devices, from the call until they are accepted, and what limits it',
    load: async () => import('./sections/audience.ts'),
  },
  {
    name: 'cost',
    title: 'processor time, bytes and money of a million notifications',
    load: async () => import('./sections/cost.ts'),
  },
  {
    name: 'latency',
    title: 'the transactional lane while the bulk lane drains at its peak, and at three quarters of it',
    load: async () => import('./sections/latency.ts'),
  },
  {
    name: 'fairness',
    title: 'single sends of one app while another tenant does its worst within its rights',
    load: async () => import('./sections/fairness.ts'),
  },
  {
    name: 'weather',
    title:
      'a million over HTTP/2 through rejections, trouble, GOAWAY, a broken connection in ten, and stalls',
    load: async () => import('./sections/weather.ts'),
  },
  {
    name: 'memory',
    title: 'memory of a worker over five million notifications',
    load: async () => import('./sections/memory.ts'),
  },
  {
    name: 'feedback',
    title: 'a million feedback tuples against ten million devices, with live traffic',
    load: async () => import('./sections/feedback.ts'),
  },
];
