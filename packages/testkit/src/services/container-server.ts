import { randomUUID } from 'node:crypto';
import type { StartedTestContainer } from 'testcontainers';
import { ProcessGuard } from '../processes/process-guard.ts';
import { findProgram } from './find-program.ts';
import { findFreePort } from './free-port.ts';
import { type RestartableServer, serverStartTimeoutMs } from './restartable-server.ts';

export interface ContainerServerOptions {
  /** An image under its official name, such as `redis:8-alpine`. */
  readonly image: string;
  /** The server's port inside the container. */
  readonly port: number;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly toUrl: (host: string, port: number) => string;
  /** Connects and asks something; rejects while the server does not answer yet. */
  readonly probe: (url: string) => Promise<void>;
  /** How long it may take to get the image, with that of the reaper, and start, milliseconds. */
  readonly openTimeoutMs?: number;
}

/** Pulling two images over a slow line, milliseconds. */
const defaultOpenTimeoutMs = 180_000;

/** Whether a container engine answers, as testcontainers looks for one: `DOCKER_HOST`, the usual sockets. */
export async function containerEngineAnswers(): Promise<boolean> {
  try {
    const { getContainerRuntimeClient } = await import('testcontainers');
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false;
  }
}

/** Marks our containers, with a value for each. */
const label = 'pushfleet.testkit';

/**
 * Removes a container when this process dies. Where the docker program is at hand our own guard does it, at once;
 * testcontainers' reaper needs an image of its own, and runs on for a while afterwards. Else the reaper it is.
 */
async function guardContainer(labelValue: string): Promise<ProcessGuard | undefined> {
  const docker = await findProgram(['docker']);
  if (docker === undefined) return undefined;
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const removeAll = '"$1" ps --all --quiet --filter "label=$2" | xargs -r "$1" rm --force --volumes';
  return new ProcessGuard({
    lastCommand: ['/bin/sh', '-c', removeAll, 'remove', docker, `${label}=${labelValue}`],
  });
}

/**
 * Starts a server in a container by testcontainers.
 * @throws Error when no engine answers, or the image is neither there nor to be had in time.
 */
export async function openContainerServer(options: ContainerServerOptions): Promise<RestartableServer> {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  // A port of the host's that we name stays the same when the container is started again.
  const hostPort = await findFreePort();
  const labelValue = randomUUID();
  const guard = await guardContainer(labelValue);
  const starting = new GenericContainer(options.image)
    .withLabels({ [label]: labelValue })
    .withExposedPorts({ container: options.port, host: hostPort })
    .withEnvironment(options.environment ?? {})
    .withCommand([...(options.command ?? [])])
    .withStartupTimeout(serverStartTimeoutMs)
    .start();
  let container: StartedTestContainer | undefined;
  const end = async (): Promise<void> => {
    await container?.stop();
    await guard?.release();
  };
  let url: string;
  try {
    container = await inTime(starting, options.openTimeoutMs ?? defaultOpenTimeoutMs, options.image);
    url = options.toUrl(container.getHost(), hostPort);
    await waitUntilAnswers(options.probe, url);
  } catch (cause) {
    await end();
    throw cause;
  }
  const client = await getContainerRuntimeClient();
  const engineContainer = client.container.getById(container.getId());
  let running = true;
  return {
    url,
    description: `a container of ${options.image} on port ${hostPort}`,
    async kill() {
      if (running) await engineContainer.kill({ signal: 'SIGKILL' });
      await engineContainer.wait();
      running = false;
    },
    async restart() {
      if (running) await engineContainer.stop();
      await engineContainer.start();
      running = true;
      await waitUntilAnswers(options.probe, url);
    },
    stop: end,
  };
}

async function inTime(
  starting: Promise<StartedTestContainer>,
  timeoutMs: number,
  image: string,
): Promise<StartedTestContainer> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${image} was not there, or not up, within ${timeoutMs / 1_000} s`));
      // It may still come up: nobody will use it then.
      starting.then((late) => late.stop()).catch(() => undefined);
    }, timeoutMs);
  });
  try {
    return await Promise.race([starting, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

async function waitUntilAnswers(probe: (url: string) => Promise<void>, url: string): Promise<void> {
  const deadline = performance.now() + serverStartTimeoutMs;
  for (;;) {
    try {
      await probe(url);
      return;
    } catch (cause) {
      if (performance.now() > deadline)
        throw new Error('The server in the container does not answer', { cause });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
