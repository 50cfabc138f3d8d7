import type { z } from 'zod';
import type { ConfigProblem } from './config-error.ts';

type Issue = z.core.$ZodIssue;

/**
 * Parses what came from outside, and says everything that is wrong with it.
 * @param path Where `value` lies in the file.
 */
export function parseWith<T extends z.ZodType>(
  schema: T,
  value: unknown,
  path: readonly PropertyKey[] = [],
): { readonly value?: z.infer<T>; readonly problems: readonly ConfigProblem[] } {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return { value: result.data, problems: [] };
  return { problems: result.error.issues.flatMap((issue) => toProblems(issue, [...path, ...issue.path])) };
}

export const unknownSetting = 'is not a known setting';

/** Zod's issues in the words of the file: paths joined by dots, one problem per unknown setting. */
function toProblems(issue: Issue, path: readonly PropertyKey[]): ConfigProblem[] {
  const field = fieldName(path);
  if (issue.input === undefined && issue.code.startsWith('invalid_')) {
    return [{ field, message: 'is missing' }];
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        field: fieldName([...path, key]),
        message: unknownSetting,
      }));
    case 'invalid_key':
      return issue.issues.map(({ message }) => ({ field, message: `as a name, ${message}` }));
    case 'invalid_type':
      return [{ field, message: `must be ${typeNames[issue.expected] ?? issue.expected}` }];
    case 'invalid_value':
      return [{ field, message: `must be ${issue.values.map(String).join(' or ')}` }];
    case 'too_small':
      return [{ field, message: sizeMessage('at least', issue) }];
    case 'too_big':
      return [{ field, message: sizeMessage('at most', issue) }];
    default:
      return [{ field, message: issue.message }];
  }
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
};

function sizeMessage(
  relation: 'at least' | 'at most',
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
): string {
  const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
  const { origin, exact } = issue;
  if (origin === 'string' && limit === 1 && relation === 'at least') return 'must not be empty';
  const units: Readonly<Record<string, string>> = {
    string: ' characters long',
    record: ' entries',
    object: ' entries',
  };
  const unit = units[origin] ?? '';
  return `must be ${exact === true ? '' : `${relation} `}${limit}${unit}`;
}

/** `apps.shop-prod.gateway.port`; the file itself when the path is empty. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the file' : path.map(String).join('.');
}
