import { ServiceError } from './service-error.ts';

/** @throws ServiceError `release-timeout`, and what the promise rejects with */
export async function withDeadline(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ServiceError('release-timeout', `The stop took longer than ${timeoutMs / 1000} seconds`));
    }, timeoutMs);
  });
  try {
    await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
