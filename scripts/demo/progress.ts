/** Tells people something, a line at a time. */
export type Say = (line: string) => void;

export interface Progress {
  readonly say: Say;
  /** Shows where a step stands: on a terminal in one line that changes, elsewhere not at all. */
  show(line: string): void;
}

/** @param out Standard error with `--json`, so that standard output stays clean. */
export function createProgress(out: NodeJS.WriteStream): Progress {
  let shown = false;
  const clear = (): void => {
    if (shown) out.write('\r\u001b[K');
    shown = false;
  };
  return {
    say(line) {
      clear();
      out.write(`${line}\n`);
    },
    show(line) {
      if (!out.isTTY) return;
      clear();
      out.write(line.slice(0, out.columns - 1));
      shown = true;
    },
  };
}
