// What of the documents' snippets is not run here, and why. Keep it small: an entry that nothing matches fails.

/** Blocks by their language. */
export const languagesNotRun: Readonly<Record<string, string>> = {
  '': 'no program: drawings, formulas, output',
  mermaid: 'a drawing',
  swift: 'needs Xcode',
  dockerfile: 'needs an image registry',
};

/** Commands by how they begin. `npm run` and `docker compose` are held against package.json and docker-compose.yml. */
export const commandsNotRun: Readonly<Record<string, string>> = {
  'git clone': 'needs the network',
  'npm run demo': 'this test is one of its users: it runs the demo itself',
  'npm test': 'this is part of it',
  'npm run test:containers': 'npm test in another place',
  'npm run check': 'a minute; run by itself',
  'npm run build': 'test/packages.test.ts runs it',
  'npm run settings': 'writes into the repository; scripts/test holds what it writes',
  'npm run fuzz': 'minutes',
  'npm run bench': 'minutes on a quiet machine',
  'npm run soak': 'minutes on a quiet machine',
  'npm run stack': 'needs a container engine',
  'npm run alerts': 'needs prometheus; scripts/test/alerts.test.ts',
  'npm run dashboards': 'writes into the repository; ops/test holds what it writes',
  'npm run simulator': 'runs until it is stopped; the playground has one',
  'npm run start:': 'runs until it is stopped; the playground has one',
  'docker compose': 'needs images',
  'docker build': 'needs images',
  kubectl: 'needs a cluster; npm run check renders the manifests',
  'cp deploy/systemd': 'changes the machine; npm run check verifies the units',
  systemctl: 'changes the machine',
  'pushfleet backup': 'writes outside of this folder; scripts/test/backup.test.ts runs it',
  'pushfleet restore': 'wants an empty database; scripts/test/backup.test.ts runs it',
  'npx vitest': 'watches until it is stopped',
};

/** Blocks that another test runs, by document and language. */
export const runElsewhere: Readonly<Record<string, string>> = {
  'docs/credentials.md console': 'apps/cli/test/credentials-page.test.ts',
};
