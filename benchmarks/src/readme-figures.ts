import type { Figure } from './figure.ts';

/** The README with the figure and the ratio of a section in its row, where it has one. */
export function withFigure(readme: string, section: string, [first]: readonly Figure[]): string {
  if (first === undefined || first.ratio === null) return readme;
  const { figure, ratio } = first;
  const times = ratio < 1 ? `${ratio.toFixed(2)} of` : `${ratio.toFixed(1)} times`;
  const row = new RegExp(
    `\\| [\\d,]+ (\\S+), [\\d.]+ (?:of|times) ([^|]*\\| \`npm run bench -- --section ${section}\` \\|)`,
  );
  return readme.replace(row, (_, unit: string, rest: string) => {
    return `| ${figure.toLocaleString('en')} ${unit}, ${times} ${rest}`;
  });
}
