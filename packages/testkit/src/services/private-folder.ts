import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProcessGuard } from '../processes/process-guard.ts';

/** A temporary folder that only one account may enter, removed with what it holds when we are done or dead. */
export interface PrivateFolder {
  readonly path: string;
  /** Ends what is watched, then removes the folder, if this process dies. */
  readonly guard: ProcessGuard;
  remove(): Promise<void>;
}

/** @param purpose Part of the folder's name, such as `redis`. */
export async function createPrivateFolder(
  purpose: string,
  account?: { readonly uid: number; readonly gid: number },
): Promise<PrivateFolder> {
  const path = await mkdtemp(join(tmpdir(), `pushfleet-${purpose}-`));
  const guard = new ProcessGuard({ folder: path });
  if (account !== undefined) await chown(path, account.uid, account.gid);
  return {
    path,
    guard,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      await guard.release();
    },
  };
}
