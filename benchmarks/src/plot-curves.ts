import type { CurvePoint, Figure } from './figure.ts';
import { escapeText } from './plot-text.ts';

// Curves: one picture for each unit, its y axis logarithmic, since a distance moves a rate by powers of ten.

/** Where the curves of one unit are drawn, pixels. */
export interface CurveFrame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
}

const plotHeight = 260;
const legendRow = 18;
const colors = ['#2f6f4f', '#1f77b4', '#d4731a', '#8e44ad', '#b3261e', '#00838f'];
const grey = '#9aa5b1';
/** Those of others are told apart by their dashes. */
const dashes = ['6 3', '2 3', '10 4', '1 5', '8 2 2 2', '4 4', '12 3 3 3', '3 6'];

type PointFigure = Figure & { readonly curve: CurvePoint };

/** The curves of one unit, and how high they are with their legend. */
export function drawCurves(
  unit: string,
  figures: readonly PointFigure[],
  { left, top, width }: CurveFrame,
): { readonly parts: readonly string[]; readonly height: number } {
  const xs = [...new Set(figures.map(({ curve }) => curve.x))].sort((a, b) => a - b);
  const positive = figures.map(({ figure }) => figure).filter((figure) => figure > 0);
  const low = Math.floor(Math.log10(positive.length === 0 ? 1 : Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 1))));
  const axisLeft = left + 70;
  const plotWidth = width - 80;
  const span = xs.at(-1)! - xs[0]! || 1;
  const xOf = (x: number): number => axisLeft + ((x - xs[0]!) / span) * plotWidth;
  const yOf = (value: number): number =>
    top + 30 + plotHeight * (1 - (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low));
  const parts = [
    `<text x="${left}" y="${top + 14}" font-weight="bold">${escapeText(unit)}</text>`,
    ...Array.from({ length: high - low + 1 }, (_, step) => {
      const y = yOf(10 ** (low + step)).toFixed(1);
      return (
        `<line x1="${axisLeft}" y1="${y}" x2="${axisLeft + plotWidth}" y2="${y}" stroke="#e3e6ea"/>` +
        `<text x="${axisLeft - 8}" y="${y}" dy="4" text-anchor="end" font-size="11">${(10 ** (low + step)).toLocaleString('en')}</text>`
      );
    }),
    ...xs.map(
      (x) =>
        `<text x="${xOf(x).toFixed(1)}" y="${top + plotHeight + 48}" text-anchor="middle" font-size="11">${x}</text>`,
    ),
    `<text x="${axisLeft + plotWidth}" y="${top + plotHeight + 64}" text-anchor="end" font-size="11">${escapeText(figures[0]!.curve.axis)}</text>`,
  ];
  let place = 0;
  let peers = 0;
  let y = top + plotHeight + 64;
  for (const [name, points] of Map.groupBy(figures, ({ curve }) => curve.of)) {
    const isPeer = points[0]!.curve.isPeer === true;
    const stroke = isPeer ? grey : colors[place++ % colors.length]!;
    const dash = isPeer ? ` stroke-dasharray="${dashes[peers++ % dashes.length]}"` : '';
    const line = [...points]
      .sort((a, b) => a.curve.x - b.curve.x)
      .map(({ curve, figure }) => `${xOf(curve.x).toFixed(1)},${yOf(figure).toFixed(1)}`);
    parts.push(
      `<polyline points="${line.join(' ')}" fill="none" stroke="${stroke}" stroke-width="2"${dash}/>`,
      ...line.map((at) => {
        const [x, y] = at.split(',');
        return `<circle cx="${x}" cy="${y}" r="2.5" fill="${stroke}"/>`;
      }),
    );
    y += legendRow;
    const last = points.map(({ figure }) => figure.toLocaleString('en')).join(' · ');
    parts.push(
      `<line x1="${left}" y1="${y - 4}" x2="${left + 26}" y2="${y - 4}" stroke="${stroke}" stroke-width="2"${dash}/>`,
      `<text x="${left + 34}" y="${y}" font-size="11">${escapeText(`${name}: ${last}`)}</text>`,
    );
  }
  return { parts, height: y - top + 24 };
}

export function isOnCurve(figure: Figure): figure is PointFigure {
  return figure.curve !== undefined;
}
