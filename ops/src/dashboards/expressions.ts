import { allDashboards } from './all-dashboards.ts';

export interface PanelExpression {
  readonly dashboard: string;
  readonly panel: string;
  /** With the variables of Grafana filled in: all apps, a minute. */
  readonly expr: string;
}

/** Every expression of every panel, as Grafana would send it to Prometheus. */
export function panelExpressions(): PanelExpression[] {
  return allDashboards.flatMap(({ id, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap(({ title, queries }) =>
        queries.map(({ expr }) => ({
          dashboard: id,
          panel: title,
          expr: expr.replaceAll('$app', '.+').replaceAll('$__rate_interval', '1m'),
        })),
      ),
    ),
  );
}
