import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatPanelBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesPanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** Units as Grafana names them. */
type Unit = 'short' | 'cps' | 's' | 'bytes' | 'percentunit' | 'dateTimeFromNow';

interface Query {
  readonly expr: string;
  /** `{{label}}` stands for a label's value. */
  readonly legend: string;
}

export interface PanelPlan {
  /** `number`: the last value, large; `curve`: over time. */
  readonly kind: 'number' | 'curve';
  readonly title: string;
  /** What it means and when to worry, for whoever sees it first. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly span: number;
  /** Curves that are parts of a whole. */
  readonly stacked?: boolean;
  /** From these values on it is a warning, and bad. */
  readonly warning?: number;
  readonly bad?: number;
}

/** Every panel asks the Prometheus that is provisioned, or the one that the variable of the dashboard names. */
export const datasource = { type: 'prometheus', uid: '$datasource' };

export function createPanel(plan: PanelPlan): Builder<Panel> {
  return plan.kind === 'number' ? createNumber(plan) : createCurve(plan);
}

function createNumber(plan: PanelPlan): Builder<Panel> {
  return new StatPanelBuilder()
    .title(plan.title)
    .description(plan.description)
    .datasource(datasource)
    .unit(plan.unit)
    .span(plan.span)
    .height(5)
    .targets(targetsOf(plan))
    .thresholds(thresholdsOf(plan))
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

function createCurve(plan: PanelPlan): Builder<Panel> {
  const panel = new TimeseriesPanelBuilder()
    .title(plan.title)
    .description(plan.description)
    .datasource(datasource)
    .unit(plan.unit)
    .min(0)
    .span(plan.span)
    .height(8)
    .targets(targetsOf(plan))
    .thresholds(thresholdsOf(plan))
    .fillOpacity(plan.stacked === true ? 40 : 8)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  if (plan.stacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  return panel;
}

function targetsOf({ queries }: PanelPlan): Builder<Dataquery>[] {
  return queries.map(({ expr, legend }, position) =>
    new DataqueryBuilder()
      .expr(expr)
      .legendFormat(legend)
      .refId(String.fromCharCode('A'.charCodeAt(0) + position)),
  );
}

function thresholdsOf({ warning, bad }: PanelPlan): ThresholdsConfigBuilder {
  const steps: { value: number | null; color: string }[] = [{ value: null, color: 'green' }];
  if (warning !== undefined) steps.push({ value: warning, color: 'orange' });
  if (bad !== undefined) steps.push({ value: bad, color: 'red' });
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}
