import { globSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

/** What `systemd-analyze verify` says of the units in a folder; undefined where it is not there. */
export async function verifyUnits(folder: string): Promise<string[] | undefined> {
  const copies = await mkdtemp(join(tmpdir(), 'pushfleet-units-'));
  try {
    const units = globSync('*.{service,target}', { cwd: folder });
    for (const unit of units) {
      await copyFile(join(folder, unit), join(copies, unit));
      // Whether the program is installed at its place is no matter of the unit.
      const text = await readFile(join(copies, unit), 'utf8');
      await writeFile(join(copies, unit), text.replace(/^(ExecStart=)\S+/m, `$1${process.execPath}`));
    }
    const result = await runTool(
      'systemd-analyze',
      ['verify', ...units.map((unit) => join(copies, unit))],
      copies,
    );
    if (result === undefined) return undefined;
    // It also looks at other units of the machine.
    return result.stderr.split('\n').filter((line) => line.includes('pushfleet'));
  } finally {
    await rm(copies, { recursive: true });
  }
}
