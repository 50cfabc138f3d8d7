import { chosenApps, type DashboardPlan } from './dashboard.ts';

/** For whoever answers for the business: do pushes arrive, how many, and does anything need somebody? */
export const overview: DashboardPlan = {
  id: 'overview',
  title: 'overview',
  description: 'Whether pushes arrive, how many, and whether anything needs somebody.',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'number',
          title: 'Sent in the last hour',
          description: 'Notifications that the gateway has accepted.',
          unit: 'short',
          span: 6,
          queries: [
            {
              expr: `sum(increase(pushfleet_settled_notifications_total{${chosenApps},outcome=~"accepted-.+"}[1h]))`,
              legend: 'accepted',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Share accepted',
          description:
            'Of all notifications that ended in the last hour. The rest is on the dashboard "delivery".',
          unit: 'percentunit',
          span: 6,
          queries: [
            {
              expr: `sum(increase(pushfleet_settled_notifications_total{${chosenApps},outcome=~"accepted-.+"}[1h])) / sum(increase(pushfleet_settled_notifications_total{${chosenApps}}[1h]))`,
              legend: 'accepted',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Still to send',
          description: 'Notifications that are enqueued and have no outcome yet.',
          unit: 'short',
          span: 6,
          queries: [
            {
              expr: `sum(app_lane:pushfleet_queued_notifications:difference{${chosenApps}})`,
              legend: 'queued',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Not accounted for',
          description:
            'Notifications that were neither settled nor are in the queue. Anything but 0 is a defect.',
          unit: 'short',
          span: 6,
          bad: 1,
          queries: [
            {
              expr: `sum(app_lane:pushfleet_unaccounted_notifications:identity{${chosenApps}})`,
              legend: 'unaccounted',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Apps paused',
          description:
            'Apps that are paused: by an operator, or since the gateway does not take their credential.',
          unit: 'short',
          span: 6,
          warning: 1,
          queries: [
            {
              expr: `count(max by (app) (app_cause:pushfleet_app_paused:max{${chosenApps}}) == 1) or vector(0)`,
              legend: 'paused',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Alerts that fire',
          description: 'Warnings and worse; Alertmanager lists them.',
          unit: 'short',
          span: 6,
          warning: 1,
          queries: [
            {
              expr: 'count(ALERTS{alertstate="firing",alertname=~"Pushfleet.+",severity=~"warning|critical"}) or vector(0)',
              legend: 'alerts',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Next credential to expire',
          description: 'After that moment the gateway refuses the app.',
          unit: 'dateTimeFromNow',
          span: 6,
          queries: [
            {
              expr: `min(pushfleet_credential_expiry_timestamp_seconds{${chosenApps}} > 0) * 1000`,
              legend: 'expires',
            },
          ],
        },
        {
          kind: 'number',
          title: 'Devices dropped today',
          description: 'Devices whose app is gone, by the gateway’s word.',
          unit: 'short',
          span: 6,
          queries: [
            {
              expr: `sum(increase(pushfleet_device_deactivations_total{${chosenApps}}[1d]))`,
              legend: 'deactivated',
            },
          ],
        },
      ],
    },
    {
      title: 'Over time',
      panels: [
        {
          kind: 'curve',
          title: 'Sent, by app',
          description: 'Accepted notifications a second.',
          unit: 'cps',
          span: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_settled_notifications_total{${chosenApps},outcome=~"accepted-.+"}[$__rate_interval]))`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'From the call to the gateway',
          description:
            'How long 99 of 100 transactional notifications take from being enqueued to being written.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: `app_lane:pushfleet_enqueue_to_written_seconds:p99_5m{${chosenApps},lane="transactional"}`,
              legend: '{{app}}',
            },
          ],
        },
      ],
    },
  ],
};
