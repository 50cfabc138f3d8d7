/**
 * A page of what was asked for with a limit of one more: that one says whether anything follows.
 * `last` is the row after which the next page begins; undefined: this page is the last.
 */
export function pageOf<Row>(
  found: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly last: Row | undefined } {
  const rows = found.slice(0, limit);
  return { rows, last: found.length > limit ? rows.at(-1) : undefined };
}
