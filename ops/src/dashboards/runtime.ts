import type { DashboardPlan } from './dashboard.ts';

const services = 'job=~"producer|worker|sweeper"';

/** The processes themselves. */
export const runtime: DashboardPlan = {
  id: 'runtime',
  title: 'runtime',
  description: 'The processes themselves, and Redis’ memory.',
  rows: [
    {
      title: 'Processes',
      panels: [
        {
          kind: 'curve',
          title: 'Instances that answer',
          description: 'By service.',
          unit: 'short',
          span: 8,
          queries: [{ expr: `sum by (job) (up{${services}})`, legend: '{{job}}' }],
        },
        {
          kind: 'curve',
          title: 'Processor',
          description: '1: one core. A process of Node.js has hardly more use than one.',
          unit: 'short',
          span: 8,
          queries: [
            {
              expr: `rate(process_cpu_seconds_total{${services}}[$__rate_interval])`,
              legend: '{{job}} {{instance}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Memory',
          description: 'Resident.',
          unit: 'bytes',
          span: 8,
          queries: [{ expr: `process_resident_memory_bytes{${services}}`, legend: '{{job}} {{instance}}' }],
        },
        {
          kind: 'curve',
          title: 'Event-loop lag, p99',
          description: 'How long the process kept its work waiting. Half a second is an alert.',
          unit: 's',
          span: 8,
          warning: 0.5,
          queries: [
            { expr: `nodejs_eventloop_lag_p99_seconds{${services}}`, legend: '{{job}} {{instance}}' },
          ],
        },
        {
          kind: 'curve',
          title: 'Garbage collection',
          description: 'Share of the time.',
          unit: 'percentunit',
          span: 8,
          queries: [
            {
              expr: `sum by (job, instance) (rate(nodejs_gc_duration_seconds_sum{${services}}[$__rate_interval]))`,
              legend: '{{job}} {{instance}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Heap in use',
          description: 'Of JavaScript.',
          unit: 'bytes',
          span: 8,
          queries: [{ expr: `nodejs_heap_size_used_bytes{${services}}`, legend: '{{job}} {{instance}}' }],
        },
      ],
    },
    {
      title: 'Redis',
      panels: [
        {
          kind: 'curve',
          title: 'Memory, used and allowed',
          description: 'At the limit Redis refuses writes; nothing is evicted.',
          unit: 'bytes',
          span: 12,
          queries: [
            { expr: 'max by (node) (pushfleet_redis_memory_used_bytes)', legend: '{{node}} used' },
            { expr: 'max by (node) (pushfleet_redis_memory_limit_bytes)', legend: '{{node}} limit' },
          ],
        },
        {
          kind: 'curve',
          title: 'Provider tokens: age',
          description: 'HTTP/2 with a key: renewed before an hour has passed. 0 where an app has none.',
          unit: 's',
          span: 12,
          queries: [{ expr: 'max by (app) (pushfleet_provider_token_age_seconds)', legend: '{{app}}' }],
        },
      ],
    },
  ],
};
