/** One published number. Absolute values depend on the machine: what counts is the ratio, both sides taken in one run. */
export interface Figure {
  /** The section that measured it. */
  readonly section: string;
  /** What was measured, in a few words. */
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  /** Against what `against` names; null where the figure stands alone. */
  readonly ratio: number | null;
  readonly against?: string;
  /** What the ratio, or without one the figure, has to reach; null where nothing is promised. */
  readonly bar: number | null;
  /** Whether the bar holds; null without a bar. */
  readonly holds: boolean | null;
  /** Where it lies on a curve; absent: it is a bar of its own in the picture. */
  readonly curve?: CurvePoint;
}

/** A point of a curve. */
export interface CurvePoint {
  /** Which curve; of all of one unit, one picture is drawn. */
  readonly of: string;
  readonly x: number;
  /** What `x` is, with its unit. */
  readonly axis: string;
  /** It is another's, for comparison. */
  readonly isPeer?: boolean;
}

export interface FigureInput {
  readonly section: string;
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  readonly against?: { readonly name: string; readonly figure: number };
  /** Least value of the ratio, or of the figure where there is none. */
  readonly atLeast?: number;
  /** Most value of the same. */
  readonly atMost?: number;
  readonly curve?: CurvePoint;
}

/** Works out the ratio, and whether the bar holds. */
export function createFigure(input: FigureInput): Figure {
  const { section, name, figure, unit, against, atLeast, atMost, curve } = input;
  const ratio = against === undefined ? null : figure / against.figure;
  const bar = atLeast ?? atMost ?? null;
  const measured = ratio ?? figure;
  const holds = bar === null ? null : atLeast === undefined ? measured <= bar : measured >= bar;
  return {
    section,
    name,
    figure: round(figure),
    unit,
    ratio: ratio === null ? null : round(ratio),
    ...(against === undefined ? {} : { against: `${against.name}, ${round(against.figure)} ${unit}` }),
    bar,
    holds,
    ...(curve === undefined ? {} : { curve }),
  };
}

/** The value in the middle: one slow run on a shared machine does not move it. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Four significant digits. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
