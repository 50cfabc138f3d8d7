import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProcess } from '@pushfleet/testkit';
import { createColumns } from './columns.ts';

export interface H2loadOptions {
  readonly url: string;
  readonly count: number;
  readonly streams: number;
}

/** The path of h2load, of Debian's package nghttp2-client; undefined: it is not there. */
export async function findH2load(): Promise<string | undefined> {
  try {
    const { code } = await runProcess({ command: 'h2load', args: ['--version'] });
    return code === 0 ? 'h2load' : undefined;
  } catch {
    return undefined;
  }
}

/** Requests per second of nghttp2's own load generator: one connection, one thread, the payload and headers of a push. */
export async function runH2load(program: string, { url, count, streams }: H2loadOptions): Promise<number> {
  const payload = join(tmpdir(), `pushfleet-bench-${process.pid}-payload`);
  await writeFile(payload, createColumns(1).payloads);
  const headers = {
    // As long as a provider token.
    authorization: `bearer ${'x'.repeat(180)}`,
    'apns-topic': 'com.example.shop',
    'apns-push-type': 'alert',
    'apns-priority': '10',
    'apns-expiration': String(Math.floor(Date.now() / 1_000) + 86_400),
    'apns-id': '00000000-0000-0000-0000-000000000000',
  };
  try {
    const { code, stdout, stderr } = await runProcess({
      command: program,
      args: [
        ...['-n', String(count), '-c', '1', '-t', '1', '-m', String(streams), '-d', payload],
        ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
        url,
      ],
      timeoutMs: 180_000,
    });
    const [, rate] = /^finished in [^,]+, ([\d.]+) req\/s/m.exec(stdout) ?? [];
    const [, succeeded] = /(\d+) succeeded/.exec(stdout) ?? [];
    if (code !== 0 || rate === undefined || Number(succeeded) !== count) {
      throw new Error(`h2load failed:\n${stdout}\n${stderr}`);
    }
    return Number(rate);
  } finally {
    await rm(payload);
  }
}
