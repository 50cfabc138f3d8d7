import type { z } from 'zod';
import type { FieldError } from './problem.ts';

/** Enough to mend a request; the rest is likely the same over and over. */
const maxErrors = 100;

/** Every field that a schema finds fault with, once. */
export function fieldErrors(error: z.core.$ZodError, place: string): FieldError[] {
  const errors = error.issues.flatMap((issue) => describeIssue(issue, place));
  const seen = new Set<string>();
  return errors
    .filter(({ field }) => !seen.has(field) && seen.add(field))
    .slice(0, maxErrors)
    .map(({ field, message }) => ({ field, message }));
}

function describeIssue(issue: z.core.$ZodIssue, place: string): FieldError[] {
  const field = formatPath(issue.path) || place;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: formatPath([...issue.path, key]),
      message: 'is not a field that is known here',
    }));
  }
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.includes('undefined')) {
    return [{ field, message: 'is missing' }];
  }
  return [{ field, message: issue.message }];
}

/** `notifications[3].token` */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

/** `notifications[0].token: is missing; lane: …`, not without end. */
export function summarize(errors: readonly FieldError[]): string {
  const shown = errors.slice(0, 5).map(({ field, message }) => `${field}: ${message}`);
  const rest = errors.length - shown.length;
  return rest > 0 ? `${shown.join('; ')}; and ${rest} more` : shown.join('; ');
}
