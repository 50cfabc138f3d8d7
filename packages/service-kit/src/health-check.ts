import { readdirSync, readFileSync } from 'node:fs';
import { adminPorts, type ServiceName } from './admin-ports.ts';

// The health check of the image, as a process: finds out which service this container runs, asks its /livez, and exits
// with 0 or 1. It imports as little as it can, since it is started every few seconds. An argument names another /proc.

/** How long the service may take to answer, milliseconds. */
const timeoutMs = 4_000;

const folders: Readonly<Record<string, ServiceName>> = {
  producer: 'producer',
  worker: 'worker',
  'feedback-sweeper': 'sweeper',
};

/** The service among the processes of this container: the first one, unless an init stands before it. */
function runningService(proc: string): ServiceName | undefined {
  for (const entry of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
    let command: string;
    try {
      command = readFileSync(`${proc}/${entry}/cmdline`, 'latin1');
    } catch {
      // It has ended.
      continue;
    }
    const [, folder = ''] = /(?:^|[/\0])apps\/([a-z-]+)\/src\/main\.ts(?:\0|$)/.exec(command) ?? [];
    const service = folders[folder];
    if (service !== undefined) return service;
  }
  return undefined;
}

/** The address to ask: that of this container where the service listens at every one of its addresses. */
function hostToAsk(host: string | undefined): string {
  if (host === undefined || host === '' || host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

const service = runningService(process.argv[2] ?? '/proc');
if (service === undefined) {
  // A command of the operator's: it ends by itself.
  console.log('no service runs here');
} else {
  const { PUSHFLEET_ADMIN_PORT, PUSHFLEET_ADMIN_HOST } = process.env;
  const url = `http://${hostToAsk(PUSHFLEET_ADMIN_HOST)}:${PUSHFLEET_ADMIN_PORT || adminPorts[service]}/livez`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    console.log(`${service}, ${url}: ${answer.status} ${await answer.text()}`);
    process.exitCode = answer.ok ? 0 : 1;
  } catch (error) {
    const { message, cause } = error as Error;
    console.log(`${service}, ${url}: ${cause instanceof Error ? cause.message : message}`);
    process.exitCode = 1;
  }
}
