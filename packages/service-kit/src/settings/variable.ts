import { z } from 'zod';

/** Who reads a variable. `compose` is docker-compose.yml itself. */
export type VariableReader = 'producer' | 'worker' | 'sweeper' | 'cli' | 'compose' | 'development';

/** One variable of the environment: its schema, and what docs/settings.md says of it. */
export interface Variable<T extends z.ZodType = z.ZodType> {
  readonly schema: T;
  readonly readBy: readonly VariableReader[];
  /** A sentence or two, in Markdown. */
  readonly what: string;
  /** A right value; an error shows it. */
  readonly example: string;
  /** What holds where the variable is not set or empty, as it would be written; undefined: nothing. */
  readonly byDefault?: string;
  /** It may hold a password: its value is never shown, and the variable with `_FILE` may name a file instead. */
  readonly isSecret?: true;
}

/** A variable with a default has its schema complete it. */
export function variable<T extends z.ZodType>(given: Variable<T>): Variable<T> {
  return given;
}

export const services = ['producer', 'worker', 'sweeper'] as const;

export const portText = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number, or 0 for a free one')
  .transform(Number)
  .refine((port) => port <= 65_535, 'must be at most 65535');
