import type { Figure } from './figure.ts';
import { drawCurves, isOnCurve } from './plot-curves.ts';
import { escapeText } from './plot-text.ts';

// Bars. Figures of one unit share an axis, which begins at 0; a figure that is compared has both sides drawn. Names and
// values stand above their bar, inside the picture. Figures that lie on a curve come first (plot-curves.ts).

/** What a picture says of its origin. */
export interface PlotOrigin {
  /** ISO 8601. */
  readonly measuredAt: string;
  readonly commit: string;
  /** In a few words. */
  readonly machine: string;
}

interface Bar {
  readonly name: string;
  readonly value: number;
  readonly color: string;
  /** Beside the value. */
  readonly note: string;
}

const width = 760;
const margin = 20;
const barWidth = width - 2 * margin;
const barHeight = 14;
const rowHeight = 44;
const axisHeight = 40;
const top = 62;
/** Of 13 px sans-serif, a wide one; names that are longer are cut. */
const characterWidth = 7.2;

const ours = '#2f6f4f';
const missed = '#b3261e';
const theirs = '#9aa5b1';

/** An SVG picture of the figures of one section. */
export function drawFigures(section: string, figures: readonly Figure[], origin: PlotOrigin): string {
  const parts: string[] = [];
  let y = top;
  for (const [unit, points] of Map.groupBy(figures.filter(isOnCurve), ({ unit }) => unit)) {
    const drawn = drawCurves(unit, points, { left: margin, top: y, width: barWidth });
    parts.push(...drawn.parts);
    y += drawn.height;
  }
  const axes = Map.groupBy(
    figures.filter((figure) => !isOnCurve(figure)),
    ({ unit }) => unit,
  );
  for (const [unit, measured] of axes) {
    const bars = barsOf(measured);
    const largest = Math.max(...bars.map(({ value }) => value)) || 1;
    parts.push(`<text x="${margin}" y="${y + 14}" font-weight="bold">${escapeText(unit)}</text>`);
    parts.push(
      `<line x1="${margin}" y1="${y + 22}" x2="${margin}" y2="${y + 22 + bars.length * rowHeight}" stroke="#333"/>`,
    );
    y += 26;
    for (const bar of bars) {
      const length = Math.max(1, (bar.value / largest) * barWidth);
      const value = `${bar.value.toLocaleString('en')}${bar.note}`;
      const room = Math.floor((barWidth - value.length * characterWidth) / characterWidth) - 2;
      parts.push(
        `<text x="${margin + 6}" y="${y + 12}">${escapeText(cut(bar.name, room))}</text>`,
        `<text x="${width - margin}" y="${y + 12}" text-anchor="end">${escapeText(value)}</text>`,
        `<rect x="${margin}" y="${y + 18}" width="${length.toFixed(1)}" height="${barHeight}" fill="${bar.color}"/>`,
      );
      y += rowHeight;
    }
    y += axisHeight - 26;
  }
  const { measuredAt, commit, machine } = origin;
  const subtitle = `${measuredAt.slice(0, 10)} · ${machine} · commit ${commit}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" font-family="sans-serif" font-size="13">`,
    `<title>${escapeText(section)}</title>`,
    `<rect width="${width}" height="${y}" fill="white"/>`,
    `<text x="${margin}" y="26" font-size="17">${escapeText(section)}</text>`,
    `<text x="${margin}" y="46" fill="#555" font-size="12">${escapeText(subtitle)}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** One of ours is drawn once, however many it is compared with. */
function barsOf(figures: readonly Figure[]): Bar[] {
  const own = Map.groupBy(figures, ({ figure, name, ratio }) => (ratio === null ? name : figure));
  return [...own.values()].flatMap((same) => {
    const [first] = same;
    const { name, figure, bar, ratio } = first!;
    const holds = same.every((one) => one.holds !== false);
    const goal =
      bar === null
        ? ''
        : ` · goal ${bar.toLocaleString('en')}${ratio === null ? '' : ' ×'}: ${holds ? 'met' : 'missed'}`;
    const sides = same.flatMap(({ against, ratio: times }) => {
      const { name: other, value } = sideOf(against);
      return other === undefined || times === null ? [] : [{ other, value, times }];
    });
    // Another of the figures, or one of itself: it has its bar already.
    const isDrawn = (value: number): boolean => figures.some((one) => one.figure === value);
    const ratios = sides
      .filter(({ value }) => isDrawn(value) && value !== figure)
      .map(({ other, times }) => ` · ${times.toLocaleString('en')} × ${other}`);
    const others = sides
      .filter(({ value }) => !isDrawn(value))
      .map(({ other, value, times }) => ({
        name: other,
        value,
        color: theirs,
        note: ` · ours is ${times.toLocaleString('en')} × that`,
      }));
    return [
      { name: nameAlone(name), value: figure, color: holds ? ours : missed, note: ratios.join('') + goal },
      ...others.filter(({ name: other }, place) => others.findIndex((one) => one.name === other) === place),
    ];
  });
}

/** What it is compared with stands in a bar of its own. */
function nameAlone(name: string): string {
  return name.replace(/,? against .*$/, '');
}

/** `against` is a name and a figure of the same unit, as `createFigure` writes it. */
function sideOf(against: string | undefined): { readonly name: string | undefined; readonly value: number } {
  const [, name, value] = /^(.*), ([\d.]+) \S+$/.exec(against ?? '') ?? [];
  return { name, value: Number(value) };
}

function cut(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
