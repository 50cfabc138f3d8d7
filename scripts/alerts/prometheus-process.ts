import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findFreePort, type PrivateFolder, ProcessError, SupervisedProcess } from '@pushfleet/testkit';
import { PrometheusClient } from '../stack/prometheus.ts';
import { readShortenedRules } from './rules.ts';

const jobs = ['producer', 'worker', 'sweeper'] as const;
export type Job = (typeof jobs)[number];

export interface PrometheusProcess {
  readonly client: PrometheusClient;
  readonly url: string;
  /** What is scraped as this job from now on: addresses, `host:port`. */
  setTargets(job: Job, addresses: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const advice =
  'There is no `prometheus` on the PATH: on Debian and Ubuntu `apt-get install prometheus` brings it, for others there ' +
  'are archives at https://prometheus.io/download';

/**
 * Starts a Prometheus of our own that scrapes every second and knows the shortened rules.
 * @throws Error with advice where there is none
 */
export async function startPrometheus(folder: PrivateFolder): Promise<PrometheusProcess> {
  const path = (...names: string[]) => join(folder.path, ...names);
  await mkdir(path('targets'));
  await mkdir(path('rules'));
  for (const name of ['recording.yml', 'alerts.yml'] as const)
    await writeFile(path('rules', name), await readShortenedRules(name));
  await writeFile(path('prometheus.yml'), configuration);
  const setTargets: PrometheusProcess['setTargets'] = async (job, addresses) => {
    await writeFile(path('targets', 'new'), JSON.stringify([{ targets: addresses }]));
    await rename(path('targets', 'new'), path('targets', `${job}.json`));
  };
  for (const job of jobs) await setTargets(job, []);
  const port = await findFreePort();
  const server = await SupervisedProcess.spawn({
    name: 'prometheus',
    command: 'prometheus',
    args: [
      `--config.file=${path('prometheus.yml')}`,
      `--storage.tsdb.path=${path('data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    stopTimeoutMs: 10_000,
    guard: folder.guard,
  }).catch((cause: unknown) => {
    throw cause instanceof ProcessError ? new Error(advice, { cause }) : cause;
  });
  await server.waitForLine(
    ({ text }) => text.includes('Server is ready to receive web requests') || undefined,
    {
      what: 'was not ready',
      timeoutMs: 60_000,
    },
  );
  const url = `http://127.0.0.1:${port}`;
  return { client: new PrometheusClient(url), url, setTargets, stop: async () => void (await server.stop()) };
}

const configuration = JSON.stringify({
  global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
  rule_files: ['rules/*.yml'],
  scrape_configs: jobs.map((job) => ({
    job_name: job,
    file_sd_configs: [{ files: [`targets/${job}.json`], refresh_interval: '1s' }],
  })),
});
