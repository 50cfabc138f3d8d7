import type { AppTraits } from '../app-traits.ts';
import { PushQueueError } from '../push-queue-error.ts';
import type { AppQuota } from '../quota.ts';
import { appIdPattern } from '../settings.ts';

/** Without a directory every app is taken for one on HTTP/2: the worker refuses what its gateway cannot carry. */
const unknownTraits: AppTraits = { transport: 'http2' };

/** The apps that may be sent to. Absent: any. */
export class AppDirectory {
  readonly #apps: ReadonlyMap<string, AppTraits> | undefined;

  constructor(apps: Readonly<Record<string, AppTraits>> | undefined) {
    this.#apps = apps === undefined ? undefined : new Map(Object.entries(apps));
  }

  /** Undefined: the defaults. */
  quotaOf(app: string): AppQuota | undefined {
    return this.#apps?.get(app)?.queue;
  }

  /** Throws `PushQueueError` `unknown-app`. */
  traitsOf(app: unknown): AppTraits {
    if (typeof app !== 'string' || !appIdPattern.test(app)) {
      throw new PushQueueError('unknown-app', 'app: must be the id of an app', { field: 'app' });
    }
    if (this.#apps === undefined) return unknownTraits;
    const traits = this.#apps.get(app);
    if (traits === undefined) {
      throw new PushQueueError('unknown-app', `app: there is no app ${app}`, { field: 'app' });
    }
    return traits;
  }
}
