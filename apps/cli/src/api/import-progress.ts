import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';

/** How far an import of a file has come; kept beside it, so that an interrupted one goes on where it stopped. */
export interface ImportProgress {
  /** Of the file: up to here everything is registered. */
  readonly bytes: number;
  readonly lines: number;
  readonly imported: number;
  readonly errorCount: number;
}

const schema = z.strictObject({
  /** Of the file when the import began: another one begins anew. */
  size: z.int(),
  modifiedMs: z.number(),
  app: z.string(),
  progress: z.strictObject({ bytes: z.int(), lines: z.int(), imported: z.int(), errorCount: z.int() }),
});

const nothing: ImportProgress = { bytes: 0, lines: 0, imported: 0, errorCount: 0 };

/** The progress of one file into one app. */
export class ImportProgressFile {
  readonly path: string;
  readonly size: number;
  readonly #modifiedMs: number;
  readonly #app: string;

  private constructor(path: string, app: string, size: number, modifiedMs: number) {
    this.path = path;
    this.#app = app;
    this.size = size;
    this.#modifiedMs = modifiedMs;
  }

  /** @throws Node's errors when the file to be imported is not there */
  static async open(file: string, app: string): Promise<ImportProgressFile> {
    const { size, mtimeMs } = await stat(file);
    return new ImportProgressFile(`${file}.${app}.progress`, app, size, mtimeMs);
  }

  /** Nothing, unless the same file was being imported into the same app. */
  async read(): Promise<ImportProgress> {
    const text = await readFile(this.path, 'utf8').catch(() => '');
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return nothing;
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) return nothing;
    const { size, modifiedMs, app, progress } = parsed.data;
    const isSame = size === this.size && modifiedMs === this.#modifiedMs && app === this.#app;
    return isSame ? progress : nothing;
  }

  async write(progress: ImportProgress): Promise<void> {
    const text = JSON.stringify({ size: this.size, modifiedMs: this.#modifiedMs, app: this.#app, progress });
    await writeFile(`${this.path}.new`, text);
    await rename(`${this.path}.new`, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
