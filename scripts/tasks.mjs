import { availableParallelism } from 'node:os';

/**
 * What `npm run` can do, as steps that run one after another.
 *
 * @typedef {object} Step
 * @property {string} name Said when it fails.
 * @property {readonly string[]} command The program and its arguments; `node` is the fitting one, and programs of
 *   node_modules/.bin are found.
 * @property {boolean} [takesArguments] Gets the arguments given to the task.
 *
 * @typedef {object} Task
 * @property {readonly Step[]} steps
 * @property {boolean} [needsRedis] Makes sure beforehand that a Redis can be had.
 * @property {boolean} [runsAll] Goes on after a step that failed, and fails at the end.
 * @property {boolean} [countsTests] Closes with the sum of the tests that ran.
 * @property {string} [takes] How long it takes, said at its start.
 * @property {Readonly<Record<string, string>>} [env]
 */

/**
 * Test files at a time. They wait more than they compute: on two cores, where Vitest would run one, two are run.
 *
 * @type {Readonly<Record<string, string>>}
 */
const testEnv = { VITEST_MAX_WORKERS: String(Math.max(2, availableParallelism() - 1)) };

/** @type {Step} */
const workspaceTests = {
  name: 'tests of the workspaces',
  // One workspace at a time: each uses all processors for its test files, and some of them measure time.
  command: ['turbo', 'run', 'test', '--concurrency=1', '--continue'],
  takesArguments: true,
};

/** @type {Step} */
const repositoryTests = { name: 'tests of the repository', command: ['vitest', 'run'] };

/**
 * @param {string} name
 * @param {string} file
 * @returns {readonly Step[]}
 */
const program = (name, file) => [{ name, command: ['node', file], takesArguments: true }];

/** @type {Readonly<Record<string, Task>>} */
export const tasks = {
  test: {
    steps: [workspaceTests, repositoryTests],
    needsRedis: true,
    runsAll: true,
    countsTests: true,
    env: testEnv,
    takes: 'about fifteen minutes on two cores; npm test -- --filter=@pushfleet/apns-wire runs one workspace',
  },
  'test:containers': {
    steps: [workspaceTests, repositoryTests],
    env: { ...testEnv, PUSHFLEET_TEST_SERVICES: 'containers' },
    runsAll: true,
    countsTests: true,
  },
  check: {
    steps: [
      {
        name: 'types of the workspaces',
        command: ['turbo', 'run', 'check', '--continue', '--output-logs=errors-only'],
      },
      { name: 'types of the scripts', command: ['tsc', '-p', 'tsconfig.json'] },
      {
        name: 'lint and format',
        command: ['biome', 'ci', `--colors=${process.stdout.isTTY ? 'force' : 'off'}`, '.'],
      },
      { name: 'promises', command: ['oxlint', '--type-aware'] },
      { name: 'unused and unlisted', command: ['knip'] },
      { name: 'layout', command: ['vitest', 'run', 'test/layout.test.ts'] },
      { name: 'operations', command: ['node', 'ops/src/check.ts'] },
    ],
    runsAll: true,
  },
  build: { steps: [{ name: 'packages to publish', command: ['turbo', 'run', 'build'] }] },
  demo: { steps: program('demo', 'scripts/demo/main.ts'), needsRedis: true },
  'demo:picture': { steps: program('picture of the demo', 'scripts/demo/record.ts'), needsRedis: true },
  bench: { steps: program('benchmarks', 'benchmarks/src/main.ts'), needsRedis: true },
  fuzz: { steps: program('fuzz', 'apps/producer/test/fuzz/main.ts'), needsRedis: true },
  soak: { steps: program('soak', 'benchmarks/src/soak.ts'), needsRedis: true },
  chaos: { steps: program('chaos', 'benchmarks/src/chaos.ts'), needsRedis: true },
  simulator: { steps: program('simulator', 'apps/gateway-simulator/src/main.ts') },
  node: { steps: [{ name: 'node', command: ['node'], takesArguments: true }] },
  pushfleet: { steps: program('pushfleet', 'apps/cli/src/main.ts') },
  dashboards: { steps: program('dashboards', 'ops/src/generate-dashboards.ts') },
  settings: { steps: program('settings', 'scripts/settings/main.ts') },
  sbom: {
    steps: [
      {
        name: 'software bill of materials',
        command: ['npm', 'sbom', '--sbom-format=cyclonedx', '--omit=dev'],
        takesArguments: true,
      },
    ],
  },
  release: { steps: program('release', 'scripts/release/main.ts') },
  stack: { steps: program('stack', 'scripts/stack/main.ts') },
  alerts: { steps: program('alerts', 'scripts/alerts/main.ts'), needsRedis: true },
  'check:dashboards': { steps: program('dashboards', 'ops/src/check-dashboards.ts') },
  'start:producer': { steps: program('producer', 'apps/producer/src/main.ts') },
  'start:worker': { steps: program('worker', 'apps/worker/src/main.ts') },
  'start:sweeper': { steps: program('sweeper', 'apps/feedback-sweeper/src/main.ts') },
};
