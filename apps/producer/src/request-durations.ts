import type { Registry } from 'prom-client';

const name = 'pushfleet_http_request_duration_seconds';
const help = 'From the head of a request to the end of its answer';
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Requests of one route with one status. */
interface Series {
  readonly labels: Readonly<Record<'method' | 'route' | 'status', string | number>>;
  /** By bucket, not cumulated; the last one is for what is over all bounds. */
  readonly counts: Uint32Array;
  sum: number;
}

/** Counts the requests of one route. */
export type RequestObserver = (status: number, seconds: number) => void;

/**
 * A histogram of requests. The library's own builds and hashes an object of labels for each value, which for a request of
 * forty microseconds is two too many; here a route knows its series, and a value is three additions.
 */
export class RequestDurations {
  readonly #series: Series[] = [];

  /** It is part of `register` from now on. */
  constructor(register: Registry) {
    const metric = {
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      get: () => this.#read(),
      reset: () => undefined,
    };
    register.registerMetric(metric as never);
  }

  observerOf(method: string, route: string): RequestObserver {
    const byStatus = new Map<number, Series>();
    return (status, seconds) => {
      let series = byStatus.get(status);
      if (series === undefined) {
        series = { labels: { method, route, status }, counts: new Uint32Array(bounds.length + 1), sum: 0 };
        byStatus.set(status, series);
        this.#series.push(series);
      }
      let bucket = 0;
      while (bucket < bounds.length && seconds > bounds[bucket]!) bucket += 1;
      series.counts[bucket]! += 1;
      series.sum += seconds;
    };
  }

  #read(): object {
    const values = this.#series.flatMap(({ labels, counts, sum }) => {
      let count = 0;
      const buckets = [...counts].map((inBucket, at) => {
        count += inBucket;
        return {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: bounds[at] ?? '+Inf' },
          value: count,
        };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
}
