import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from '@pushfleet/testkit';

/**
 * Type-checks programs as strictly as the repository's own, each on its own; gives the compiler's lines by name.
 * @param root Of the repository.
 */
export async function checkTypes(
  root: string,
  programs: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = await mkdtemp(join(root, '.pushfleet', 'types-'));
  try {
    for (const [name, text] of programs) await writeFile(join(folder, `${name}.ts`), text);
    const config = {
      extends: '../../tsconfig.json',
      compilerOptions: { noUnusedLocals: false },
      include: ['*.ts'],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = await runProcess({
      command: join(root, 'node_modules/.bin/tsc'),
      args: ['-p', folder, '--pretty', 'false'],
      timeoutMs: 100_000,
    });
    const lines = stdout.split('\n');
    return new Map(
      [...programs.keys()].map((name) => [name, lines.filter((line) => line.includes(`${name}.ts(`))]),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
