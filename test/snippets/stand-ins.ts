// Snippets that are not run as they stand, each with the reason, and what is run in their place. Keep it small: an entry
// that nothing matches fails. Everything else of the documents is run as it is written.

/** Blocks by their language. */
export const languagesNotRun: Readonly<Record<string, string>> = {
  '': 'no program: drawings, formulas, output',
  mermaid: 'a drawing; lifecycles.test.ts and the like hold what it says',
  swift: 'needs Xcode',
  dockerfile: 'needs an image registry',
};

/** Blocks that another test runs, by document and language. */
export const runElsewhere: Readonly<Record<string, string>> = {
  'docs/credentials.md console': 'apps/cli/test/credentials-page.test.ts',
};

export interface StandIn {
  readonly reason: string;
  /** What is run in its place; undefined: its names are checked, and nothing is run. */
  readonly run?: (command: string) => string;
}

/** At free ports: those of the documents may be taken. */
const untilReady = (command: string): string =>
  `until_ready ${command.replaceAll(/(--\S+-port) \d+/g, '$1 0')}`;
/** Shows that the command is there, and knows its flags: checkNames looks for them in what it prints. */
const asksForHelp = (command: string): string =>
  /^npm run (-s )?\S+/.exec(command.trim())![0].concat(' -- --help');

/** Commands by how they begin; the first that fits. Names in all of them are held by check-names.ts. */
export const standIns: Readonly<Record<string, StandIn>> = {
  'npm run demo:picture': { reason: 'half a minute; scripts/test/demo.test.ts holds what it draws' },
  'npm run demo': { reason: 'the playground in which all this is run was opened with it' },
  'npm test': {
    reason: 'this is part of it: one small workspace stands for all',
    run: () => 'npm test -- --filter=@pushfleet/apns-wire',
  },
  'npm run test:containers': { reason: 'needs a container engine' },
  'npm run check': { reason: 'some minutes; run by itself' },
  'npm run release': {
    reason: 'writes versions, which has the dependencies installed anew; scripts/test/release.test.ts',
  },
  'npm run fuzz': { reason: 'minutes', run: asksForHelp },
  'npm run bench': { reason: 'minutes on a quiet machine', run: asksForHelp },
  'npm run chaos': { reason: 'minutes', run: asksForHelp },
  'npm run soak': { reason: 'minutes on a quiet machine', run: asksForHelp },
  'npm run stack': { reason: 'needs a container engine', run: asksForHelp },
  'npm run alerts': { reason: 'needs prometheus; scripts/test/alerts.test.ts', run: asksForHelp },
  'npm run simulator -- --help': { reason: 'ends by itself', run: (command) => command },
  'npm run simulator': { reason: 'runs until it is stopped', run: untilReady },
  'npm run start:': { reason: 'runs until it is stopped', run: untilReady },
  'npx vitest run': { reason: 'ends by itself', run: (command) => command },
  'npx vitest': {
    reason: 'watches until it is stopped',
    run: () => 'npx vitest run test/identifier.test.ts',
  },
  'docker compose run --rm cli': {
    reason: 'needs images: the same command without a container',
    run: (command) => command.replace(/docker compose run .*?\bcli\b/, 'pushfleet'),
  },
  'docker compose': { reason: 'needs images' },
  'docker build': { reason: 'needs images' },
  'kubectl kustomize': {
    reason: 'run where kubectl is',
    run: (command) => `! command -v kubectl || ${command}`,
  },
  'kubectl apply -k': {
    reason: 'needs a cluster: what would be applied is rendered',
    run: (command) => `! command -v kubectl || ${command.replace('apply -k', 'kustomize')}`,
  },
  'kubectl -n': { reason: 'needs a cluster' },
  'cp deploy/systemd': {
    reason: 'changes the machine: copied elsewhere',
    run: (command) =>
      command.replace('/etc/systemd/system/', '"$(mktemp -d)"').replace(/ && systemctl.*/, ''),
  },
  systemctl: { reason: 'changes the machine' },
  'pushfleet backup': {
    reason: 'writes outside of this folder: written into it',
    run: (command) => command.replace('/backups/', './'),
  },
  'pushfleet upgrade --backup': {
    reason: 'writes outside of this folder: written into it',
    run: (command) => command.replace('/backups/', './'),
  },
  'pushfleet restore': { reason: 'wants an empty database; scripts/test/backup.test.ts runs it' },
};

export function standInOf(command: string): [string, StandIn] | undefined {
  return Object.entries(standIns).find(([start]) => command.trimStart().startsWith(start));
}
