import { writeFile } from 'node:fs/promises';
import { SupervisedProcess } from '@pushfleet/testkit';
import { drawTerminal, type TimedLine } from './draw-terminal.ts';

// `npm run demo:picture`: runs the demo and writes what it printed, when it printed it, as docs/demo.svg.

const picture = new URL('../../docs/demo.svg', import.meta.url);

const demo = await SupervisedProcess.spawn({
  name: 'the demo',
  command: process.execPath,
  args: [new URL('main.ts', import.meta.url).pathname],
  env: process.env,
  cwd: undefined,
  stopTimeoutMs: 30_000,
});
const startedMs = performance.now();
const lines: TimedLine[] = [];
let seen = 0;
const watch = setInterval(() => {
  for (; seen < demo.lines.length; seen++) {
    const { text } = demo.lines[seen]!;
    // Where the servers come from differs from machine to machine.
    if (/^(Redis|Postgres): /.test(text)) continue;
    lines.push({ text, seconds: (performance.now() - startedMs) / 1000 });
  }
}, 50);
const { code } = await demo.exited;
// What came with the end.
await new Promise((resolve) => setTimeout(resolve, 200));
clearInterval(watch);
if (code === 0) await writeFile(picture, drawTerminal('npm run demo', lines));
else process.stderr.write(`${lines.map(({ text }) => text).join('\n')}\n`);
process.exitCode = code ?? 1;
