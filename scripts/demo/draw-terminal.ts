/** A line that a program printed. */
export interface TimedLine {
  readonly text: string;
  /** Since the start. */
  readonly seconds: number;
}

/** So many times as fast as it was. */
const speed = 3;
const lineHeight = 19;
const characterWidth = 7.85;
const padding = 16;
const titleBar = 34;

/** A recording of a terminal as SVG: each line appears when it was printed; without animation all are there. */
export function drawTerminal(command: string, lines: readonly TimedLine[]): string {
  const shown = [{ text: `$ ${command}`, seconds: 0 }, ...lines];
  const columns = Math.max(...shown.map(({ text }) => text.length));
  const width = Math.ceil(columns * characterWidth + 2 * padding);
  const height = titleBar + shown.length * lineHeight + padding;
  const rows = shown.map(({ text, seconds }, row) => {
    const y = titleBar + (row + 1) * lineHeight - 4;
    const kind = row === 0 ? ' class="c"' : text.startsWith('Every notification') ? ' class="g"' : '';
    return `<text x="${padding}" y="${y}"${kind} style="animation-delay:${(seconds / speed).toFixed(1)}s">${escapeText(text)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>${escapeText(command)}</title>`,
    '<style>',
    'text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d6dbe1;white-space:pre;animation:a .01s both}',
    '.c{fill:#fff;font-weight:bold}.g{fill:#7ee29b;font-weight:bold}',
    '@keyframes a{from{opacity:0}to{opacity:1}}',
    '</style>',
    `<rect width="${width}" height="${height}" rx="8" fill="#15191f"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map(
      (color, place) => `<circle cx="${20 + place * 18}" cy="17" r="5.5" fill="${color}"/>`,
    ),
    ...rows,
    '</svg>\n',
  ].join('\n');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
