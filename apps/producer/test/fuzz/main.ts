import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createTestDatabase, providePostgres, provideRedis } from '@pushfleet/testkit';
import { fuzzedSecret, fuzzedTokens, runFuzz } from './run-fuzz.ts';
import { memoryLimitBytes, startLimitedProducer } from './start-limited.ts';

// `npm run fuzz`: a producer in 512 MiB, and everything that the OpenAPI document names, broken in every way.

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '60000' },
    seed: { type: 'string', default: String(randomInt(1, 1_000_000_000)) },
    concurrency: { type: 'string', default: '24' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`usage: npm run fuzz -- [flags]

  --requests N     default 60000
  --seed N         repeats a run; its first line names its seed
  --concurrency N  requests under way at once; default 24
  --help`);
  process.exit();
}
const requests = Number(values.requests);
const seed = Number(values.seed);
console.log(`seed ${seed}: npm run fuzz -- --seed ${seed} --requests ${requests} does the same again`);

const redis = await provideRedis();
const postgres = await providePostgres();
const database = await createTestDatabase(postgres.url);
const producer = await startLimitedProducer({
  redisUrl: redis.url,
  redisPrefix: redis.prefix,
  databaseUrl: database.url,
});
let isRight = true;
const expectThat = (is: boolean, what: string) => {
  if (!is) console.log(`NOT RIGHT: ${what}`);
  isRight &&= is;
};
try {
  console.log(`the producer's memory is bounded by ${producer.bound}`);
  let leaked = 0;
  let errors = 0;
  producer.started.process.onLine(({ text }) => {
    if ([fuzzedSecret, ...fuzzedTokens].some((secret) => text.includes(secret))) leaked += 1;
    if (!/"level":"(error|fatal)"/.test(text)) return;
    errors += 1;
    console.log(text.slice(0, 2_000));
  });
  const startedMs = performance.now();
  const { statuses, faults } = await runFuzz({
    port: producer.port,
    requests,
    seed,
    concurrency: Number(values.concurrency),
    onProgress: (done) => {
      if (done % 5_000 === 0) console.log(`${done} of ${requests}`);
    },
  });
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0);
  console.log(`${requests} exchanges in ${seconds} s, by status:`);
  for (const [status, count] of [...statuses].toSorted()) console.log(`  ${status}: ${count}`);
  for (const fault of faults) console.log(`  ${fault}`);
  expectThat(faults.length === 0, 'every answer is below 500, or 503 when it is due');
  expectThat(leaked === 0, `no text or token of a request is in the log, but ${leaked} lines hold one`);
  expectThat(errors === 0, `nothing a client does is an error of ours, but ${errors} lines are`);
  const live = await fetch(`http://127.0.0.1:${producer.adminPort}/livez`).catch(() => undefined);
  expectThat(live?.status === 200, 'it is alive at the end');
  const { peakBytes, kills } = await producer.memory();
  console.log(`memory at most ${(peakBytes / 1024 / 1024).toFixed(0)} MiB`);
  expectThat(peakBytes <= memoryLimitBytes && kills === 0, 'its memory stays within 512 MiB');
  const { code } = await producer.started.stop();
  expectThat(code === 0, `it stops in order, not with ${code}`);
} finally {
  await producer.remove();
  await database.drop();
  await postgres.stop();
  await redis.stop();
}
console.log(isRight ? 'all right' : `failed; seed ${seed}`);
process.exitCode = isRight ? 0 : 1;
