import { expect } from 'vitest';
import type { Transport, TransportObserver } from '../src/index.ts';
import { Observed } from './observed.ts';
import { RecordedRun, type RunContent } from './recorded-run.ts';

export interface TestTransport {
  readonly transport: Transport;
  readonly observed: Observed;
  submit(content: RunContent): RecordedRun;
}

/** The transports of a test, and the runs that it submits. */
export class TestTransports {
  readonly #transports: Transport[] = [];
  readonly #runs: RecordedRun[] = [];

  open(create: (observer: TransportObserver) => Transport): TestTransport {
    const observed = new Observed();
    const transport = create(observed.observer);
    this.#transports.push(transport);
    const submit = (content: RunContent): RecordedRun => {
      const run = new RecordedRun(content);
      this.#runs.push(run);
      transport.submit(run);
      return run;
    };
    return { transport, observed, submit };
  }

  /** Destroys them; positions that settled twice, or never, fail the test. */
  end(): void {
    for (const transport of this.#transports) transport.destroy();
    expect(this.#runs.flatMap(({ twice }) => twice)).toEqual([]);
    expect(this.#runs.map((run) => run.open).filter((left) => left > 0)).toEqual([]);
  }
}
