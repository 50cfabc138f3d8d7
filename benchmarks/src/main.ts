import { parseArgs } from 'node:util';
import type { Figure } from './figure.ts';
import { printFigures, saveFigures } from './report.ts';
import { sections } from './sections.ts';

// Every published number, and the command that prints it: npm run bench [-- --section NAME] [--json] [--save].

const usage = `usage: npm run bench -- [flags]

  --section NAME   this section alone; may be repeated
  --json           the figures as one JSON array on the last line of standard output
  --save           writes them, with a picture, under benchmarks/results/
  --help

sections:
${sections.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      section: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const unknown = values.section.filter((name) => !sections.some((section) => section.name === name));
  if (unknown.length > 0) {
    throw new TypeError(
      `--section: there is no ${unknown.join(', ')}; there are ${sections.map(({ name }) => name).join(', ')}`,
    );
  }
  const wanted = sections.filter(({ name }) => values.section.length === 0 || values.section.includes(name));
  const figures: Figure[] = [];
  let failures = 0;
  for (const section of wanted) {
    say(`${section.name}: ${section.title}`);
    try {
      const module = await section.load();
      const measured = await module.run({ say: (line) => say(`  ${line}`) });
      figures.push(...measured);
      printFigures(measured, process.stderr);
    } catch (error) {
      failures++;
      say(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  if (values.save) say(`written: ${(await saveFigures(figures)).join(', ')}`);
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else printFigures(figures, process.stdout);
  return failures === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`bench: ${(error as Error).message}`);
  process.exitCode = 2;
}
