/** What the client of Redis leaves at its errors. */
interface RedisError extends Error {
  command?: { readonly name?: string; readonly args?: unknown };
  readonly previousErrors?: unknown;
  readonly lastNodeError?: unknown;
}

/**
 * Takes the arguments of commands away from an error of Redis and from those beside it, and gives it: they are payloads,
 * device tokens and passwords, and an error may end in a log. The name of the command stays.
 */
export function stripArguments(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error) || depth === 8) return error;
  const { command, previousErrors, lastNodeError, cause } = error as RedisError;
  if (command !== undefined) (error as RedisError).command = { name: command.name ?? '' };
  const beside = Array.isArray(previousErrors) ? (previousErrors as unknown[]) : [];
  for (const each of [...beside, lastNodeError, cause]) stripArguments(each, depth + 1);
  return error;
}

/** What an error of Redis says, without the arguments that it quotes. */
export function messageWithoutArguments(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/,? with args beginning with:[\s\S]*/, '').slice(0, 500);
}
