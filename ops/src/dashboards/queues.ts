import { chosenApps, type DashboardPlan } from './dashboard.ts';

const quantile = (share: number, metric: string) =>
  `histogram_quantile(${share}, sum by (app, lane, le) (rate(${metric}_bucket{${chosenApps}}[$__rate_interval])))`;

/** How much waits, and for how long. */
export const queues: DashboardPlan = {
  id: 'queues',
  title: 'queues and latency',
  description: 'How much waits, and for how long.',
  rows: [
    {
      title: 'Queues',
      panels: [
        {
          kind: 'curve',
          title: 'Still to send',
          description: 'Notifications without an outcome.',
          unit: 'short',
          span: 8,
          queries: [
            {
              expr: `app_lane:pushfleet_queued_notifications:difference{${chosenApps}}`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Push jobs, by state',
          description: 'A push job holds up to 1,000 notifications.',
          unit: 'short',
          span: 8,
          queries: [
            {
              expr: `app_lane_state:pushfleet_queue_jobs:max{${chosenApps}}`,
              legend: '{{app}} {{lane}} {{state}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Age of the oldest push job',
          description: 'A minute in the transactional lane is an alert, an hour in the bulk lane too.',
          unit: 's',
          span: 8,
          queries: [
            {
              expr: `app_lane:pushfleet_queue_oldest_age_seconds:max{${chosenApps}}`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Push jobs taken',
          description: 'By all workers.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, lane) (rate(pushfleet_jobs_taken_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Push jobs in work',
          description: 'By all workers.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app, lane) (pushfleet_jobs_active{${chosenApps}})`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Workers held to a rate',
          description: 'Where push jobs wait for the rate of their app, and for nothing else.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app, lane) (pushfleet_lane_rate_limited{${chosenApps}})`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Dead letters',
          description: 'Kept with their data until somebody replays or discards them.',
          unit: 'short',
          span: 12,
          warning: 1,
          queries: [{ expr: `max by (app) (pushfleet_dead_letters{${chosenApps}})`, legend: '{{app}}' }],
        },
        {
          kind: 'curve',
          title: 'Dead letters, data',
          description: 'In Redis. At the bound of an app the oldest go.',
          unit: 'bytes',
          span: 12,
          queries: [{ expr: `max by (app) (pushfleet_dead_letter_bytes{${chosenApps}})`, legend: '{{app}}' }],
        },
        {
          kind: 'curve',
          title: 'Dead letters trimmed',
          description: 'In an hour, for their age or for room. What was in them cannot be replayed any more.',
          unit: 'short',
          span: 12,
          warning: 1,
          queries: [
            {
              expr: `max by (app, bound) (increase(pushfleet_dead_letters_trimmed_total{${chosenApps}}[1h]))`,
              legend: '{{app}} {{bound}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Quota, bytes used',
          description:
            'Of what an app may have in its queues. At 1 its sends are refused (429) and its broadcasts wait.',
          unit: 'percentunit',
          span: 12,
          warning: 0.8,
          queries: [
            {
              expr: `max by (app, class) (pushfleet_quota_used_bytes{${chosenApps}}) / max by (app, class) (pushfleet_quota_limit_bytes{${chosenApps}} > 0)`,
              legend: '{{app}} {{class}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Quota, notifications used',
          description: 'Of what an app may have in its queues; scheduled ones apart.',
          unit: 'percentunit',
          span: 12,
          warning: 0.8,
          queries: [
            {
              expr: `max by (app, class) (pushfleet_quota_used_notifications{${chosenApps}}) / max by (app, class) (pushfleet_quota_limit_notifications{${chosenApps}} > 0)`,
              legend: '{{app}} {{class}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Latency',
      panels: [
        {
          kind: 'curve',
          title: 'Enqueued to written',
          description: 'To the gateway’s connection.',
          unit: 's',
          span: 12,
          queries: [
            { expr: quantile(0.5, 'pushfleet_enqueue_to_written_seconds'), legend: '{{app}} {{lane}} p50' },
            { expr: quantile(0.99, 'pushfleet_enqueue_to_written_seconds'), legend: '{{app}} {{lane}} p99' },
          ],
        },
        {
          kind: 'curve',
          title: 'Enqueued to settled',
          description: 'Binary success is silent: what is presumed settles no sooner than confirmAfter.',
          unit: 's',
          span: 12,
          queries: [
            { expr: quantile(0.5, 'pushfleet_enqueue_to_settled_seconds'), legend: '{{app}} {{lane}} p50' },
            { expr: quantile(0.99, 'pushfleet_enqueue_to_settled_seconds'), legend: '{{app}} {{lane}} p99' },
          ],
        },
        {
          kind: 'curve',
          title: 'Canaries, round trip',
          description: 'Of the silent pushes that try the whole way: from being enqueued to being accepted.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_canary_round_trip_seconds_sum{${chosenApps}}[15m])) / sum by (app) (rate(pushfleet_canary_round_trip_seconds_count{${chosenApps}}[15m]))`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Canaries that did not arrive',
          description: 'In half an hour, by what became of them.',
          unit: 'short',
          span: 12,
          warning: 1,
          queries: [
            {
              expr: `sum by (app, outcome) (increase(pushfleet_canary_total{${chosenApps},outcome!="accepted"}[30m]))`,
              legend: '{{app}} {{outcome}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Wait of push jobs, p99',
          description: 'From being enqueued to being taken by a worker.',
          unit: 's',
          span: 12,
          queries: [{ expr: quantile(0.99, 'pushfleet_job_wait_seconds'), legend: '{{app}} {{lane}}' }],
        },
        {
          kind: 'curve',
          title: 'Notifications per group commit, mean',
          description: 'Single sends that arrive together share a push job. More is cheaper.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app, lane) (rate(pushfleet_group_commit_notifications_sum{${chosenApps}}[$__rate_interval])) / sum by (app, lane) (rate(pushfleet_group_commit_notifications_count{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
      ],
    },
  ],
};
