import { durationSchema } from '@pushfleet/service-kit';
import { InvalidArgumentError } from 'commander';

/** Milliseconds, for an option such as `--overlap 1d`. @throws InvalidArgumentError */
export function parseDuration(text: string): number {
  const parsed = durationSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It ${parsed.error.issues[0]!.message}.`);
}
