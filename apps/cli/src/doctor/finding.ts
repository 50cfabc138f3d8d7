/** `warning`: works, and will not for long or not well. `problem`: does not work, or loses what it should keep. */
type Severity = 'ok' | 'warning' | 'problem';

/** What the doctor says of one thing. */
export interface Finding {
  /** What was looked at, such as `redis` or `apps.shop-prod`. */
  readonly about: string;
  readonly severity: Severity;
  /** What is so. */
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** Makes findings about one thing. */
export function findingsAbout(about: string) {
  return {
    ok: (message: string): Finding => ({ about, severity: 'ok', message }),
    warning: (message: string, advice: string): Finding => ({ about, severity: 'warning', message, advice }),
    problem: (message: string, advice: string): Finding => ({ about, severity: 'problem', message, advice }),
  };
}
