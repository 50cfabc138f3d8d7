import { chosenApps, type DashboardPlan } from './dashboard.ts';

/** How the device table is kept true, and how far behind the truth it is. */
export const devices: DashboardPlan = {
  id: 'devices',
  title: 'devices and feedback',
  description: 'How the device table is kept true, and how far behind the truth it is.',
  rows: [
    {
      title: 'Devices',
      panels: [
        {
          kind: 'curve',
          title: 'Deactivated, by evidence',
          description:
            'Devices leave only by the gateway’s word, against the time of their last registration.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, source) (rate(pushfleet_device_deactivations_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{source}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Devices reached by broadcasts',
          description: 'Notifications that broadcasts have fanned out to.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_broadcast_devices_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Feedback service',
      panels: [
        {
          kind: 'curve',
          title: 'Readings, by result',
          description: 'Reading clears the list at the gateway, so only one sweeper reads at a time.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, result) (rate(pushfleet_feedback_readings_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{result}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Tuples, by what became of them',
          description: 'Each names a device whose app is gone.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, result) (rate(pushfleet_feedback_tuples_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{result}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Outcome reports and webhooks',
      panels: [
        {
          kind: 'curve',
          title: 'Reports applied',
          description: 'Written to Postgres.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_reports_applied_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Reports that wait, and the age of the oldest',
          description: 'While Postgres is away they gather in Redis, and nothing is lost.',
          unit: 'short',
          span: 8,
          queries: [
            {
              expr: `max by (app) (pushfleet_outcome_backlog_reports{${chosenApps}})`,
              legend: '{{app}} reports',
            },
            {
              expr: `max by (app) (pushfleet_outcome_backlog_age_seconds{${chosenApps}})`,
              legend: '{{app}} seconds',
            },
            {
              expr: `max by (app) (pushfleet_feedback_backlog_tuples{${chosenApps}})`,
              legend: '{{app}} feedback tuples',
            },
            { expr: 'max(pushfleet_audit_entries_waiting)', legend: 'entries of the audit log' },
          ],
        },
        {
          kind: 'curve',
          title: 'Webhook deliveries, by result',
          description: 'What business services are told.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app, result) (rate(pushfleet_webhook_deliveries_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{result}}',
            },
          ],
        },
      ],
    },
  ],
};
