import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, createReadStream, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

const entry = fileURLToPath(new URL('./fixtures/talkative.ts', import.meta.url));
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-kit-'));
  await writeFile(join(folder, 'shop.p12'), '');
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    'apps: { shop: { topic: t, environment: sandbox, transport: binary, credential: { p12: shop.p12 } } }',
  );
  env = {
    ...process.env,
    REDIS_URL: 'redis://localhost',
    PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
    PUSHFLEET_ADMIN_PORT: '0',
  };
});
afterAll(async () => rm(folder, { recursive: true }));

interface Reader {
  readonly child: ChildProcess;
  readonly adminUrl: string;
  /** Reads on. */
  resume(): void;
  /** Everything that has been read. */
  text(): string;
}

/** Starts the service, reads its output as far as the line that says that it is ready, and stops reading. */
async function startAndStall(kind: 'socket' | 'pipe'): Promise<Reader> {
  const fifo = join(folder, `out-${Math.random()}`);
  if (kind === 'pipe') execFileSync('mkfifo', [fifo]);
  const output = kind === 'pipe' ? openSync(fifo, constants.O_RDWR) : 'pipe';
  const child = spawn(process.execPath, [entry], { env, stdio: ['ignore', output, 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const out: Readable = kind === 'pipe' ? createReadStream(fifo) : child.stdout!;
  let text = '';
  const { promise: ready, resolve } = Promise.withResolvers<number>();
  out.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    const line = text.split('\n').find((each) => each.includes('"msg":"ready"'));
    if (line !== undefined) resolve((JSON.parse(line) as { adminPort: number }).adminPort);
  });
  const adminUrl = `http://127.0.0.1:${await ready}`;
  out.pause();
  onTestFinished(() => void out.destroy());
  return { child, adminUrl, resume: () => void out.resume(), text: () => text };
}

const metric = /^pushfleet_log_lines_dropped_total (\d+)$/m;

async function untilLinesAreDropped(adminUrl: string): Promise<void> {
  const dropped = async () => Number(metric.exec(await (await fetch(`${adminUrl}/metrics`)).text())?.[1]);
  await expect.poll(dropped, { timeout: 60_000 }).toBeGreaterThan(0);
}

describe.each(['socket', 'pipe'] as const)(
  'with a %s as standard output whose reader stands still',
  (kind) => {
    test('the service goes on, counts what it drops, and tells it when the reader is back', async () => {
      const { child, adminUrl, resume, text } = await startAndStall(kind);
      await untilLinesAreDropped(adminUrl);
      expect((await fetch(`${adminUrl}/livez`)).status).toBe(200);
      resume();
      await expect.poll(text, { timeout: 60_000 }).toContain('log lines were dropped while nobody read');
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
      await expect.poll(text, { timeout: 60_000 }).toMatch(/"msg":"stopped"\}\n$/);
      for (const line of text().trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
    }, 120_000);

    test('a signal stops it, and its last lines come out when the reader reads', async () => {
      const { child, adminUrl, resume, text } = await startAndStall(kind);
      await untilLinesAreDropped(adminUrl);
      child.kill('SIGTERM');
      resume();
      expect(await once(child, 'exit')).toEqual([0, null]);
      await expect.poll(text, { timeout: 60_000 }).toMatch(/"msg":"stopped"\}\n$/);
    }, 120_000);

    test('a signal stops it in time when nobody reads ever', async () => {
      const { child, adminUrl } = await startAndStall(kind);
      await untilLinesAreDropped(adminUrl);
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    }, 60_000);
  },
);
