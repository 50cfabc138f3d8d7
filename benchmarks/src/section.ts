import type { Figure } from './figure.ts';

/** What a section of the benchmarks is given. */
export interface SectionContext {
  /** Tells people what is going on; goes to standard error. */
  say(line: string): void;
}

/** One module per section, loaded when it is asked for. */
export interface SectionModule {
  run(context: SectionContext): Promise<readonly Figure[]>;
}
