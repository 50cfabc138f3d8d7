import type { z } from 'zod';
import type { FieldError } from './problem.ts';

/** Enough to mend a request; the rest is likely the same over and over. */
const maxErrors = 100;

/** Longest part of a path: names are the caller's, and may be of any length. */
const maxNameLength = 64;

/** Every field that a schema finds fault with, once. */
export function fieldErrors(error: z.core.$ZodError, place: string): FieldError[] {
  const errors = error.issues.flatMap((issue) => describeIssue(issue, [], place));
  const seen = new Set<string>();
  return errors
    .filter(({ field }) => !seen.has(field) && seen.add(field))
    .slice(0, maxErrors)
    .map(({ field, message }) => ({ field, message }));
}

function describeIssue(issue: z.core.$ZodIssue, above: readonly PropertyKey[], place: string): FieldError[] {
  const path = [...above, ...issue.path];
  const field = formatPath(path) || place;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: formatPath([...path, key]),
      message: 'is not a field that is known here',
    }));
  }
  if (issue.code === 'invalid_union') {
    const branch = likeliest(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => describeIssue(inner, path, place));
  }
  return [{ field, message: messageOf(issue) }];
}

/** Of several forms the one that was meant: what is wrong with it is inside of it, and least. */
function likeliest(branches: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue[] | undefined {
  const inside = branches.filter((issues) => issues.every(isInside));
  // Of several, one that lacks what makes it that form was not meant.
  const meant = inside.length === 1 ? inside : inside.filter((issues) => !issues.some(isMissing));
  return meant.toSorted((a, b) => a.length - b.length)[0];
}

function isMissing({ code, input }: z.core.$ZodIssue): boolean {
  return (code === 'invalid_type' || code === 'invalid_union') && input === undefined;
}

function isInside(issue: z.core.$ZodIssue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys';
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text, such as "Hello"',
  number: 'a number, such as 3',
  int: 'a whole number, such as 3',
  boolean: 'true or false',
  array: 'a list, such as ["a"]',
  object: 'an object, such as {"a":1}',
  record: 'an object, such as {"a":1}',
};

/** In the words of this API; those of schemas that say something themselves stay. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    if (isMissing(issue) && !issue.message.startsWith('must')) return 'is missing';
    const kind = kinds[issue.expected];
    return kind === undefined || issue.message.startsWith('must') ? issue.message : `must be ${kind}`;
  }
  if (issue.code === 'invalid_format' && /^Invalid /.test(issue.message)) {
    if (issue.format === 'uuid') return 'must be an id, such as 0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b';
    if (issue.format === 'datetime') return 'must be ISO 8601 text with a zone, such as 2030-01-31T12:00:00Z';
  }
  if (issue.code === 'too_small' && /^Too small/.test(issue.message)) {
    return issue.origin === 'string' || issue.origin === 'array'
      ? `must have at least ${issue.minimum}${issue.origin === 'string' ? ' characters' : ''}`
      : `must be at least ${issue.minimum}`;
  }
  if (issue.code === 'too_big' && /^Too big/.test(issue.message)) {
    return issue.origin === 'string' || issue.origin === 'array'
      ? `must have at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`
      : `must be at most ${issue.maximum}`;
  }
  if (issue.code === 'invalid_value' && /^Invalid /.test(issue.message)) {
    return `must be one of ${issue.values.map(String).join(', ')}`;
  }
  return issue.message;
}

/** `notifications[3].token` */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) =>
      typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${shortened(String(part))}`,
    )
    .join('');
}

function shortened(name: string): string {
  return name.length <= maxNameLength ? name : `${name.slice(0, maxNameLength)}…`;
}

/** `notifications[0].token: is missing; lane: …`, not without end. */
export function summarize(errors: readonly FieldError[]): string {
  const shown = errors.slice(0, 5).map(({ field, message }) => `${field}: ${message}`);
  const rest = errors.length - shown.length;
  return rest > 0 ? `${shown.join('; ')}; and ${rest} more` : shown.join('; ');
}
