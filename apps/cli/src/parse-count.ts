import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, which commander tells with the option's name */
export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}
