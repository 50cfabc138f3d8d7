import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type StartedProcess, startProcess } from '../processes/start-process.ts';
import type { ProcessExit, SupervisedProcess } from '../processes/supervised-process.ts';
import { createPrivateFolder } from '../services/private-folder.ts';
import { SimulatorControl } from './simulator-control.ts';

export interface StartSimulatorOptions {
  /** Ports of 127.0.0.1; by default, and with 0, free ones. */
  readonly binaryPort?: number;
  readonly feedbackPort?: number;
  readonly http2Port?: number;
  readonly controlPort?: number;
  /** Where the certificates are or are written; by default a temporary folder that goes with the simulator. */
  readonly tlsDir?: string;
  /** More arguments, as `npm run simulator` takes them. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Simulator {
  readonly binaryPort: number;
  readonly feedbackPort: number;
  readonly http2Port: number;
  readonly controlPort: number;
  /**
   * Holds `ca.pem`, `client.pem` and `client-key.pem`, with the APNs extensions, and `AuthKey.p8` with
   * `provider-key.json`.
   */
  readonly tlsDir: string;
  readonly control: SimulatorControl;
  readonly process: SupervisedProcess;
  stop(): Promise<ProcessExit>;
  /** SIGKILL: the gateway's host is gone. */
  kill(): Promise<ProcessExit>;
}

const entry = new URL('../../../../apps/gateway-simulator/src/main.ts', import.meta.url);

/**
 * Starts the gateway simulator as a process of its own.
 * @throws ProcessError when it exits first or is not ready in time.
 */
export async function startSimulator(options: StartSimulatorOptions = {}): Promise<Simulator> {
  const folder = await createPrivateFolder('simulator');
  const tlsDir = options.tlsDir ?? join(folder.path, 'tls');
  let started: StartedProcess;
  try {
    await mkdir(tlsDir, { recursive: true });
    started = await startProcess({
      name: 'the gateway simulator',
      entry,
      args: [
        ...['--binary-port', String(options.binaryPort ?? 0)],
        ...['--feedback-port', String(options.feedbackPort ?? 0)],
        ...['--http2-port', String(options.http2Port ?? 0)],
        ...['--control-port', String(options.controlPort ?? 0)],
        ...['--tls-dir', tlsDir],
        ...(options.args ?? []),
      ],
      env: options.env ?? {},
    });
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
  const { process: child, ready } = started;
  const end = async (how: 'stop' | 'kill'): Promise<ProcessExit> => {
    const exit = await child[how]();
    await folder.remove();
    return exit;
  };
  try {
    const controlPort = readPort(ready, 'controlPort');
    return {
      binaryPort: readPort(ready, 'binaryPort'),
      feedbackPort: readPort(ready, 'feedbackPort'),
      http2Port: readPort(ready, 'http2Port'),
      controlPort,
      tlsDir,
      control: new SimulatorControl(`http://127.0.0.1:${controlPort}`),
      process: child,
      stop: async () => end('stop'),
      kill: async () => end('kill'),
    };
  } catch (cause) {
    await end('kill');
    throw cause;
  }
}

function readPort(ready: Readonly<Record<string, unknown>>, name: string): number {
  const port = ready[name];
  if (typeof port !== 'number') throw new TypeError(`The simulator's ready line has no ${name}`);
  return port;
}
