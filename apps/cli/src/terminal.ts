import { visibleText } from './visible-text.ts';

/** Where text goes. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** What a run of the program sees of the world. */
export interface ProgramEnvironment {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

/** Exit codes, as `pushfleet --help` explains them. */
export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * How commands talk: one result on standard output, as text or (`--json`) as one line of JSON; everything else on
 * standard error, where it disturbs no pipe. What others have written comes out with its controls escaped.
 */
export class Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly isJson: boolean;
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;
  /** What the program exits with, unless a command fails. */
  exitCode: ExitCode = ExitCode.done;

  constructor(environment: ProgramEnvironment, isJson: boolean) {
    this.env = environment.env;
    this.#stdout = environment.stdout;
    this.#stderr = environment.stderr;
    this.isJson = isJson;
  }

  /** The result of a command. @param toText Makes what people read; its last newline is added. */
  print(result: unknown, toText: () => string): void {
    if (this.isJson) this.printJson(result);
    else this.#stdout.write(`${this.#shown(toText(), this.#stdout)}\n`);
  }

  /** The result of a command whose text people have seen by then, part by part. */
  printJson(result: unknown): void {
    if (this.isJson) this.#stdout.write(`${visibleText(JSON.stringify(result))}\n`);
  }

  /** A part of the result that people see as soon as it is there; with `--json` it has to be in the result. */
  progress(text: string): void {
    if (!this.isJson) this.#stdout.write(`${this.#shown(text, this.#stdout)}\n`);
  }

  /** A part of a result that is neither text for people nor JSON, as it comes; a file or a pipe gets it unchanged. */
  printPart(text: string): void {
    this.#stdout.write(this.#stdout.isTTY === true ? visibleText(text) : text);
  }

  /** Progress and hints, for people. */
  note(text: string): void {
    if (!this.isJson) this.#stderr.write(`${this.#shown(text, this.#stderr)}\n`);
  }

  /** How far it has come, for people who look: one line on a terminal, over and over. */
  statusLine(text: string): void {
    if (!this.isJson && this.#stderr.isTTY === true) this.#stderr.write(`\r\u001b[K${visibleText(text)}`);
  }

  /** What comes next stands on a line of its own. */
  statusLineEnded(): void {
    if (!this.isJson && this.#stderr.isTTY === true) this.#stderr.write('\n');
  }

  /** Why a command could not do its work. */
  fail(error: { readonly code: string; readonly message: string }, exitCode: ExitCode): void {
    this.exitCode = exitCode;
    const { code, message } = error;
    if (this.isJson) this.#stdout.write(`${visibleText(JSON.stringify({ error: { code, message } }))}\n`);
    else this.#stderr.write(`${this.#shown(`pushfleet: ${message}`, this.#stderr)}\n`);
  }

  /** Text as a stream shows it: controls escaped, and coloured by us alone. */
  #shown(text: string, stream: TextSink): string {
    const visible = visibleText(text);
    return hasColors(stream, this.env) ? colored(visible) : visible;
  }
}

/** Whether what goes to a stream may be coloured: a terminal that has colours, unless `NO_COLOR` or `FORCE_COLOR` says. */
function hasColors(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  // https://no-color.org: any value but none.
  if ((env.NO_COLOR ?? '') !== '') return false;
  if ((env.FORCE_COLOR ?? '') !== '') return env.FORCE_COLOR !== '0';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

const marks: readonly (readonly [RegExp, number])[] = [
  [/^ *✓/gm, 32],
  [/^ *✗/gm, 31],
  [/^ *!(?= )/gm, 33],
  [/^ *→.*$/gm, 36],
  [/^pushfleet:/gm, 31],
  [/\b(?:paused|failed|cannot send)\b/g, 31],
  [/\b(?:slowed|delivering)\b/g, 33],
];

/** Colours the marks and the words by which people look for trouble. The text is whole without. */
function colored(text: string): string {
  return marks.reduce(
    (painted, [pattern, color]) =>
      painted.replaceAll(pattern, (found) => `\u001b[${color}m${found}\u001b[39m`),
    text,
  );
}
