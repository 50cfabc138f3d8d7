import { chosenApps, type DashboardPlan } from './dashboard.ts';

/** What happens between workers and gateways. */
export const connections: DashboardPlan = {
  id: 'connections',
  title: 'connections and errors',
  description: 'What happens between the workers and the gateways.',
  rows: [
    {
      title: 'Connections',
      panels: [
        {
          kind: 'curve',
          title: 'Connections, by state',
          description: 'A few, open for hours, and more while a backlog needs them.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app, state) (pushfleet_connections{${chosenApps}})`,
              legend: '{{app}} {{state}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Connections that ended, by how',
          description: 'On the binary transport each bad token ends one.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, end) (rate(pushfleet_connections_closed_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{end}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'How long connections lived, median',
          description: 'Of those that ended.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: `histogram_quantile(0.5, sum by (app, le) (rate(pushfleet_connection_lifetime_seconds_bucket{${chosenApps}}[$__rate_interval])))`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'In flight, and how full the windows are',
          description:
            'Written and not yet settled. At 1 no more jobs are taken: the gateway is what limits.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app) (pushfleet_in_flight_notifications{${chosenApps}})`,
              legend: '{{app}} in flight',
            },
            {
              expr: `max by (app) (pushfleet_window_occupancy_ratio{${chosenApps}})`,
              legend: '{{app}} occupancy',
            },
          ],
        },
      ],
    },
    {
      title: 'Distance',
      panels: [
        {
          kind: 'curve',
          title: 'Connections wanted, by why',
          description:
            'streams, window or backlog: what there is too little of on the connections there are. At the setting connections, or PUSHFLEET_CONNECTIONS, no more are opened.',
          unit: 'short',
          span: 12,
          queries: [
            {
              expr: `sum by (app, reason) (pushfleet_connections_wanted{${chosenApps}}) > 0`,
              legend: '{{app}} {{reason}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Round trip to the gateway',
          description: 'When nothing else is under way; the longest of any connection.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: `max by (app) (pushfleet_connection_round_trip_seconds{${chosenApps}})`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Streams in use, and allowed',
          description:
            'Requests that wait for their answers. Together at the top: more connections are needed.',
          unit: 'short',
          span: 8,
          queries: [
            {
              expr: `sum by (app) (pushfleet_streams_in_use{${chosenApps}})`,
              legend: '{{app}} in use',
            },
            {
              expr: `sum by (app) (pushfleet_streams_allowed{${chosenApps}})`,
              legend: '{{app}} allowed',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Window left',
          description:
            "What the gateway's windows of flow control allow to be sent. At 0 each round trip carries a window, and no more.",
          unit: 'bytes',
          span: 8,
          queries: [
            {
              expr: `sum by (app) (pushfleet_flow_control_window_bytes{${chosenApps}})`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Connections opened, by TLS handshake',
          description: 'resumed: an earlier session was taken up, which spares the signatures.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app, tls) (rate(pushfleet_connections_opened_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{tls}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Errors',
      panels: [
        {
          kind: 'curve',
          title: 'Error responses, by status',
          description: 'Packets of the binary gateway, and answers of the HTTP/2 gateway that are not 200.',
          unit: 'cps',
          span: 12,
          queries: [
            {
              expr: `sum by (app, status) (rate(pushfleet_error_responses_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{status}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Errors that came too late',
          description:
            'About notifications that silence had already settled: confirmAfter is too short for this gateway. Never confirmed: the gateway did not answer when it was asked before their connection closed.',
          unit: 'cps',
          span: 12,
          bad: 0.01,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_late_error_responses_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} errors',
            },
            {
              expr: `sum by (app) (rate(pushfleet_wrongly_presumed_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} notifications called accepted',
            },
            {
              expr: `sum by (app) (rate(pushfleet_unconfirmed_presumed_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} called accepted, never confirmed',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Written again',
          description: 'Discarded by the gateway after an error, without doubt: sent again.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_replayed_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'In doubt',
          description: 'The connection died under them: sent again or dropped, as onUncertain says.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app, cause) (rate(pushfleet_uncertain_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}} {{cause}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Tried again later',
          description: 'The gateway had trouble with them: another attempt after a pause.',
          unit: 'cps',
          span: 8,
          queries: [
            {
              expr: `sum by (app) (rate(pushfleet_retried_notifications_total{${chosenApps}}[$__rate_interval]))`,
              legend: '{{app}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Credentials',
      panels: [
        {
          kind: 'curve',
          title: 'Until credentials expire',
          description: 'Renew them before; workers take a new file up by themselves.',
          unit: 's',
          span: 12,
          queries: [
            {
              expr: `min by (app) (pushfleet_credential_expiry_timestamp_seconds{${chosenApps}} > 0) - time()`,
              legend: '{{app}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Apps paused, by cause',
          description: '1: paused.',
          unit: 'short',
          span: 12,
          bad: 1,
          queries: [
            { expr: `app_cause:pushfleet_app_paused:max{${chosenApps}}`, legend: '{{app}} {{cause}}' },
          ],
        },
        {
          kind: 'curve',
          title: 'Workers that cannot send for an app, by cause',
          description: 'They take none of its push jobs; the others go on.',
          unit: 'short',
          span: 12,
          bad: 1,
          queries: [
            {
              expr: `sum by (app, cause) (pushfleet_worker_app_unable{${chosenApps}})`,
              legend: '{{app}} {{cause}}',
            },
          ],
        },
        {
          kind: 'curve',
          title: 'Workers at which an app is slowed, by what the trouble is',
          description: 'They send only probes until the gateway serves the app again.',
          unit: 'short',
          span: 12,
          bad: 1,
          queries: [
            {
              expr: `sum by (app, cause) (pushfleet_app_slowed{${chosenApps}})`,
              legend: '{{app}} {{cause}}',
            },
          ],
        },
      ],
    },
  ],
};
