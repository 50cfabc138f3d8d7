/** One thing that was looked at. */
export interface CheckStep {
  readonly step: string;
  readonly result: 'ok' | 'failed';
  /** What was seen. */
  readonly detail: string;
  /** What it means and what to do about it. */
  readonly advice?: string;
}

/** Steps of one check, in order; a step that fails ends the check that it belongs to. */
export class CheckReport {
  readonly steps: CheckStep[] = [];
  readonly #onStep: (step: CheckStep) => void;

  /** @param onStep Hears of each step as it is done: some take seconds. */
  constructor(onStep: (step: CheckStep) => void = () => undefined) {
    this.#onStep = onStep;
  }

  get isInOrder(): boolean {
    return this.steps.every(({ result }) => result === 'ok');
  }

  ok(step: string, detail: string, advice?: string): void {
    this.#add({ step, result: 'ok', detail, ...(advice === undefined ? {} : { advice }) });
  }

  failed(step: string, detail: string, advice?: string): void {
    this.#add({ step, result: 'failed', detail, ...(advice === undefined ? {} : { advice }) });
  }

  #add(step: CheckStep): void {
    this.steps.push(step);
    this.#onStep(step);
  }
}

/** For people; details of several lines are indented. */
export function showStep({ step, result, detail, advice }: CheckStep): string {
  const lines = [`${result === 'ok' ? '✓' : '✗'} ${step}: ${detail}`];
  if (advice !== undefined) lines.push(`  → ${advice}`);
  return lines.join('\n');
}
