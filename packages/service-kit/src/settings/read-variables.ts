import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import type { ConfigProblem } from '../config-error.ts';
import { parseWith } from '../schema-problems.ts';
import type { Variable } from './variable.ts';

type Values<V extends Readonly<Record<string, Variable>>> = {
  readonly [N in keyof V]: z.output<V[N]['schema']>;
};

/**
 * Reads variables by their schemas. One that is empty counts as not set.
 * @returns The values, or everything that is wrong with them: each problem names its variable, and shows a right value.
 */
export function readVariables<V extends Readonly<Record<string, Variable>>>(
  env: NodeJS.ProcessEnv,
  variables: V,
): { readonly values?: Values<V>; readonly problems: readonly ConfigProblem[] } {
  const values: Record<string, unknown> = {};
  const problems: ConfigProblem[] = [];
  for (const [name, variable] of Object.entries(variables)) {
    const parsed = parseVariable(name, variable, env[name] || undefined);
    if (parsed.problem !== undefined) problems.push(parsed.problem);
    else values[name] = parsed.value;
  }
  return problems.length > 0 ? { problems } : { values: values as Values<V>, problems };
}

function parseVariable(
  name: string,
  variable: Variable,
  text: string | undefined,
): { readonly value?: unknown; readonly problem?: ConfigProblem } {
  const parsed = parseWith(variable.schema, text ?? variable.byDefault, [name]);
  const [problem] = parsed.problems;
  if (problem === undefined) return { value: parsed.value };
  return { problem: { field: name, message: withExample(problem.message, variable, text) } };
}

function withExample(message: string, { example, isSecret }: Variable, text: string | undefined): string {
  const shown = text !== undefined && isSecret !== true ? `, not ${JSON.stringify(text)}` : '';
  const right = message.includes('such as') ? '' : `, such as ${example}`;
  // Kubernetes sets variables like these for a Service of the name `pushfleet`.
  const hint = text?.startsWith('tcp://')
    ? ' (Kubernetes sets it for a Service of that name: set enableServiceLinks to false)'
    : '';
  return `${message}${right}${shown}${hint}`;
}

/**
 * A secret comes from its variable, or from the file that the variable with `_FILE` names.
 * @returns The text, checked; or what is wrong with it, without its value. Undefined: neither is set, and the secret may
 *   be missing.
 */
export async function readSecretVariable(
  env: NodeJS.ProcessEnv,
  name: string,
  variable: Variable,
): Promise<string | undefined | ConfigProblem> {
  const isSet = Boolean(env[name] || env[`${name}_FILE`]);
  if (!isSet && variable.schema.safeParse(undefined).success) return undefined;
  const text = await readSecret(env, name);
  if (typeof text !== 'string') {
    if (isSet) return text;
    return { ...text, message: `${text.message}, such as ${variable.example}` };
  }
  return parseVariable(name, variable, text).problem ?? text;
}

/** A secret comes from its variable, or from the file that the variable with `_FILE` names. */
export async function readSecret(env: NodeJS.ProcessEnv, name: string): Promise<string | ConfigProblem> {
  const value = env[name] || undefined;
  const path = env[`${name}_FILE`] || undefined;
  if (value !== undefined && path !== undefined) {
    return { field: name, message: `is set, and so is ${name}_FILE: only one of them may be` };
  }
  if (value !== undefined) return value;
  if (path === undefined) return { field: name, message: `is missing (or ${name}_FILE, which names a file)` };
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    return { field: `${name}_FILE`, message: `cannot be read: ${(error as Error).message}` };
  }
}
