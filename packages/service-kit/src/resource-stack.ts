import { ServiceError, type ServiceKitErrorCode } from './service-error.ts';

/** Closes one resource. */
export type Release = () => void | Promise<void>;

/**
 * What a service has opened, to be given up last in, first out, and once: also when construction failed half way.
 */
export interface ResourceStack {
  /** Takes responsibility for a resource. After the release began it is given up at once, and this throws. */
  add(name: string, release: Release): void;
  /**
   * Returns everything up; every call gives the same promise. One failure does not keep the others from it.
   * @throws ServiceError with all failures, as the `cause`
   */
  release(): Promise<void>;
}

export function createResourceStack(): ResourceStack {
  const resources: { name: string; release: Release }[] = [];
  let released: Promise<void> | undefined;

  const releaseAll = async () => {
    const failures: Error[] = [];
    for (let last = resources.pop(); last !== undefined; last = resources.pop()) {
      try {
        await last.release();
      } catch (cause) {
        failures.push(new Error(`${last.name} could not be released`, { cause }));
      }
    }
    if (failures.length > 0) throw failed(failures);
  };

  return {
    add(name, release) {
      resources.push({ name, release });
      if (released === undefined) return;
      released = released.then(releaseAll, async (error: unknown) => {
        await releaseAll();
        throw error;
      });
      // Whoever waits for the release hears of it.
      released.catch(() => undefined);
      throw new ServiceError<ServiceKitErrorCode>(
        'start-interrupted',
        `${name} was opened when the service already stopped`,
      );
    },
    release() {
      released ??= releaseAll();
      return released;
    },
  };
}

function failed(failures: readonly Error[]): ServiceError<ServiceKitErrorCode> {
  const names = failures.map(({ message, cause }) => `${message}: ${String(cause)}`).join('; ');
  return new ServiceError('release-failed', names, { cause: new AggregateError(failures) });
}
