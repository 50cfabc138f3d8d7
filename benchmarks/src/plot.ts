import type { Figure } from './figure.ts';

// Bars, one per figure, each scaled within its unit: enough to see what stands against what.

const width = 900;
const rowHeight = 34;
const labelWidth = 420;
const barWidth = 300;
const top = 40;

/** An SVG picture of the figures of one section. */
export function drawFigures(section: string, figures: readonly Figure[]): string {
  const largest = new Map<string, number>();
  for (const { unit, figure } of figures) largest.set(unit, Math.max(largest.get(unit) ?? 0, figure));
  const rows = figures.map((figure, row) => {
    const y = top + row * rowHeight;
    const length = Math.max(1, (figure.figure / (largest.get(figure.unit) || 1)) * barWidth);
    const color = figure.holds === false ? '#b3261e' : '#2f6f4f';
    const value = `${figure.figure.toLocaleString('en')} ${figure.unit}${figure.ratio === null ? '' : ` (× ${figure.ratio})`}`;
    return [
      `<text x="${labelWidth - 8}" y="${y + 16}" text-anchor="end">${escapeText(figure.name)}</text>`,
      `<rect x="${labelWidth}" y="${y + 2}" width="${length.toFixed(1)}" height="20" fill="${color}"/>`,
      `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${y + 16}">${escapeText(value)}</text>`,
    ].join('\n');
  });
  const height = top + figures.length * rowHeight + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<title>${escapeText(section)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    `<text x="12" y="24" font-size="16">${escapeText(section)}</text>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
