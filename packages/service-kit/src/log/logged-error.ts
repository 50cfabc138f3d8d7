import { cleanText } from './clean-text.ts';

/** All that is logged of an error. What else it carries may be a secret: arguments, queries, requests. */
export interface LoggedError {
  readonly type: string;
  readonly code?: string | number;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

const maxDepth = 5;
const maxFrames = 20;

/** What is logged of whatever was thrown. */
export function loggedError(thrown: unknown, depth = 0): LoggedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: cleanText(shown(thrown)) };
  const { code } = thrown as { code?: unknown };
  const stack = framesOf(thrown);
  return {
    type: nameOf(thrown),
    ...(typeof code === 'number' ? { code } : typeof code === 'string' ? { code: cleanText(code) } : {}),
    message: messageOf(thrown),
    ...(stack === undefined ? {} : { stack }),
    ...(thrown.cause === undefined || depth === maxDepth
      ? {}
      : { cause: loggedError(thrown.cause, depth + 1) }),
  };
}

function shown(thrown: unknown): string {
  return typeof thrown === 'object' && thrown !== null ? 'an object that is no error' : String(thrown);
}

function nameOf(error: Error): string {
  const named: unknown = error.constructor?.name;
  return error.name === 'Error' && typeof named === 'string' ? named : String(error.name);
}

/** What a parser of ours says quotes its input: the fields at fault are named, and no values. */
function messageOf(error: Error): string {
  const { issues } = error as { issues?: unknown };
  if (Array.isArray(issues)) {
    const named = (issues as { path?: unknown; code?: unknown }[])
      .slice(0, 10)
      .map(({ path, code }) => `${Array.isArray(path) ? path.map(String).join('.') : ''}: ${String(code)}`);
    return cleanText(named.join('; '));
  }
  if (error instanceof AggregateError && error.message === '') {
    const first = error.errors
      .slice(0, 4)
      .map((each) => (each instanceof Error ? each.message : shown(each)));
    return cleanText(first.join('; '));
  }
  return cleanText(error.message);
}

/** Where it came from; the message, which comes first in a stack, stands in a field of its own. */
function framesOf({ stack, message }: Error): string | undefined {
  if (typeof stack !== 'string') return undefined;
  const start = message === '' ? 0 : stack.indexOf(message);
  const frames = stack
    .slice(start === -1 ? 0 : start + message.length)
    .split('\n')
    .filter((line) => /^ {4}at \S/.test(line) && line.length < 500)
    .slice(0, maxFrames);
  return frames.length === 0 ? undefined : frames.join('\n');
}
