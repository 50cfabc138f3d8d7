import { chosenApps, type DashboardPlan } from './dashboard.ts';

/** What becomes of an app's notifications. */
export const delivery: DashboardPlan = {
  id: 'delivery',
  title: 'delivery',
  description: 'What becomes of the notifications of an app.',
  rows: [
    {
      title: 'Outcomes',
      panels: [
        {
          kind: 'curve',
          title: 'Settled, by outcome',
          description: 'Every notification ends in exactly one of these.',
          unit: 'cps',
          span: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (outcome) (rate(pushfleet_settled_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Settled, by app and transport',
          description: 'All outcomes together.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, transport) (rate(pushfleet_settled_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{transport}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Rejected, by reason',
          description: 'The gateway’s word on single notifications.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, reason) (rate(pushfleet_rejections_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{reason}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Share rejected',
          description: 'Of what has settled. Above 10 % for ten minutes there is an alert.',
          unit: 'percentunit',
          span: 12,
          warning: 0.1,
          queries: [
            { expr: `app:pushfleet_rejected_notifications:ratio_rate5m{${chosenApps}}`, legend: '{{app}}' },
          ],
        },
      ],
    },
    {
      title: 'Since the fleet began',
      panels: [
        {
          kind: 'curve',
          title: 'Enqueued, settled',
          description: 'The sums as Redis holds them. Their difference is what is still in the queue.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app) (app_lane:pushfleet_enqueued_notifications:total{${chosenApps}})`,
              legend: '{{app}} enqueued',
            },
            {
              expr: `sum by (app) (app_lane:pushfleet_settled_notifications:total{${chosenApps}})`,
              legend: '{{app}} settled',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Not accounted for',
          description: 'The accounting identity, by lane. Anything but 0 is a defect.',
          unit: 'short',
          span: 12,
          bad: 1,
          queries: [
            {
              expr: `app_lane:pushfleet_unaccounted_notifications:identity{${chosenApps}}`,
              legend: '{{app}} {{lane}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Came in',
      panels: [
        {
          kind: 'curve',
          title: 'Enqueued through the API',
          description: 'By lane and by what asked for it.',
          unit: 'cps',
          span: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (lane, source) (rate(pushfleet_enqueued_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{lane}} {{source}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Refused calls',
          description: 'Calls that got an error, by its code.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: 'sum by (code) (rate(pushfleet_enqueue_refused_total[$__rate_interval]))',
              legend: '{{code}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'HTTP requests',
          description: 'By route and status.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: 'sum by (method, route, status) (rate(pushfleet_http_request_duration_seconds_count[$__rate_interval]))',
              legend: '{{method}} {{route}} {{status}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Time of HTTP requests, p99',
          description: 'By route.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: 'histogram_quantile(0.99, sum by (method, route, le) (rate(pushfleet_http_request_duration_seconds_bucket[$__rate_interval])))',
              legend: '{{method}} {{route}}',
            },
          ],
        },
      ],
    },
  ],
};
