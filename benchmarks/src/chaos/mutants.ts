/** A bug of one line that is planted to see that a run finds it. */
export interface Mutant {
  /** What it does, for the table. */
  readonly name: string;
  /** File, from the root of the repository. */
  readonly file: string;
  /** Text that the file holds once. */
  readonly find: string;
  readonly replace: string;
}

export const mutants: readonly Mutant[] = [];
