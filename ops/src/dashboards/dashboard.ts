import {
  type Dashboard,
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { createPanel, datasource, type PanelPlan } from './panel.ts';

export interface DashboardPlan {
  /** Of the file and in the address. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly PanelPlan[] }[];
}

/** What of a series belongs to the apps chosen at the top of the dashboard. */
export const chosenApps = 'app=~"$app"';

export function createDashboard(plan: DashboardPlan): Dashboard {
  const builder = new DashboardBuilder(`Pushfleet: ${plan.title}`)
    .uid(`pushfleet-${plan.id}`)
    .description(plan.description)
    .tags(['pushfleet'])
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .readonly()
    .link(
      new DashboardLinkBuilder('Pushfleet')
        .type(DashboardLinkType.Dashboards)
        .tags(['pushfleet'])
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('app')
        .label('App')
        .datasource(datasource)
        .query('label_values(pushfleet_fleet_enqueued_notifications_total, app)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.AlphabeticalAsc)
        .multi(true)
        .includeAll(true)
        .allValue('.+')
        .current({ text: 'All', value: '$__all' }),
    );
  for (const row of plan.rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(createPanel(panel));
  }
  return builder.build();
}
