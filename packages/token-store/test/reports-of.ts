/** A batch id by number. */
export const batchOf = (number: number) =>
  `01900000-0000-7000-8000-${Math.floor(number).toString(16).padStart(12, '0')}`;
