/** The value of a push job's column at a place: one for all, or one for each. */
export function valueAt<T>(column: T | readonly T[], place: number): T {
  return Array.isArray(column) ? (column as readonly T[])[place]! : (column as T);
}
