import type { CutMode } from '../fault-proxy/toxics.ts';
import { startProcess } from '../processes/start-process.ts';
import type { SupervisedProcess } from '../processes/supervised-process.ts';
import type { LineFigures, LineSettings } from './line.ts';

export type { LineFigures, LineSettings } from './line.ts';

export interface DelayLineOptions {
  /** Where connections go, on 127.0.0.1. */
  readonly targetPort: number;
  /** Bytes that may be under way on one connection, one way; 64 MiB by default. */
  readonly maxBytes?: number;
  /** For jitter. */
  readonly seed?: number;
}

/**
 * A distance between a client and a server of this machine, in a process of its own: the faults proxy breaks single
 * connections, this carries hundreds of megabytes a second. There is no loss, and no slow start of TCP.
 */
export interface DelayLine {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly process: SupervisedProcess;
  figures(): Promise<LineFigures>;
  /** Changes the line for what goes in from now on: each way on its own has this delay, jitter and bandwidth. */
  set(settings: Partial<LineSettings>): Promise<LineFigures>;
  /** Ends the connections there are; new ones are taken as before. */
  cut(how: CutMode): Promise<LineFigures>;
  stop(): Promise<void>;
}

/** @throws ProcessError when it is not ready in time. */
export async function startDelayLine(options: DelayLineOptions): Promise<DelayLine> {
  const { targetPort, maxBytes, seed } = options;
  const started = await startProcess({
    name: 'the delay line',
    entry: new URL('./main.ts', import.meta.url),
    args: [
      `--target-port=${targetPort}`,
      ...(maxBytes === undefined ? [] : [`--max-bytes=${maxBytes}`]),
      ...(seed === undefined ? [] : [`--seed=${seed}`]),
    ],
  });
  const { port, controlPort } = started.ready as { readonly port: number; readonly controlPort: number };
  const ask = async (path: string, body?: unknown): Promise<LineFigures> => {
    const answer = await fetch(
      `http://127.0.0.1:${controlPort}${path}`,
      body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) },
    );
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as LineFigures;
  };
  return {
    port,
    process: started.process,
    figures: async () => ask('/figures'),
    set: async (settings) => ask('/line', settings),
    cut: async (how) => ask('/cut', { how }),
    stop: async () => void (await started.stop()),
  };
}
