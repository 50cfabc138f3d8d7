import type { z } from 'zod';

// Every list goes on in one way: `next` of a page is `after` of the following. Null: that was the last page.

/** `after` of a request, whatever the cursor of the list looks like. */
export function afterOf<T extends z.ZodType>(cursor: T) {
  return cursor.optional().meta({ description: '`next` of the page before.' });
}

/** What `after` was called in earlier versions. */
export function formerlyAfter<T extends z.ZodType>(cursor: T) {
  return cursor.optional().meta({ description: 'As `after`.', deprecated: true });
}

/** `next` of a page. */
export function nextOf<T extends z.ZodType>(cursor: T) {
  return cursor.nullable().meta({ description: 'Give it as `after`; null: that was the last page.' });
}
