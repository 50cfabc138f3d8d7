import { OptionsError, parseOptions, usage } from './options.ts';
import { openSimulator, type Simulator } from './simulator.ts';

// The simulator as a process: flags in, one ready line out, ends on SIGTERM or SIGINT.

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const simulator = await openSimulator(options);
  stopOnSignal(simulator);
  const { binaryPort, feedbackPort, http2Port, controlPort, tlsDir } = simulator;
  const ready = { ready: true, binaryPort, feedbackPort, http2Port, controlPort, tlsDir };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

/** The first signal closes what is open; the second does not wait for that. */
function stopOnSignal(simulator: Simulator): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    simulator.close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`simulator: ${message}\n`);
  if (error instanceof OptionsError) process.stderr.write('Try --help.\n');
  process.exit(1);
}

main().catch(fail);
