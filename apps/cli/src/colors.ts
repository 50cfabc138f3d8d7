/** Whether what goes to a stream may be coloured: a terminal that has colours, unless `NO_COLOR` or `FORCE_COLOR` says. */
export function hasColors(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  // https://no-color.org: any value but none.
  if ((env.NO_COLOR ?? '') !== '') return false;
  if ((env.FORCE_COLOR ?? '') !== '') return env.FORCE_COLOR !== '0';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

const marks: readonly (readonly [RegExp, number])[] = [
  [/^ *✓/gm, 32],
  [/^ *✗/gm, 31],
  [/^ *!(?= )/gm, 33],
  [/^ *→.*$/gm, 36],
  [/^pushfleet:/gm, 31],
  [/\b(?:paused|failed|cannot send)\b/g, 31],
  [/\b(?:slowed|delivering)\b/g, 33],
];

/** Colours the marks and the words by which people look for trouble. The text is whole without. */
export function colored(text: string): string {
  return marks.reduce(
    (painted, [pattern, color]) =>
      painted.replaceAll(pattern, (found) => `\u001b[${color}m${found}\u001b[39m`),
    text,
  );
}
