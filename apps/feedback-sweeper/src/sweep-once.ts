import type { ServiceContext } from '@pushfleet/service-kit';
import type { RetentionPolicy } from '@pushfleet/token-store';
import { Registry } from 'prom-client';
import { openSweeper, type Sweeper } from './sweeper.ts';

/**
 * One run for cron: reads all feedback services and outcome reports, applies them, tells what is to be told. Returns the
 * apps whose feedback service or outcome reports could not be read.
 * @throws TokenStoreError, PushQueueError
 */
export async function sweepOnce(
  context: ServiceContext,
  policy: RetentionPolicy,
): Promise<readonly string[]> {
  const sweeper = await openSweeper(context, new Registry(), { policy });
  const swept = sweep(sweeper);
  context.resources.add('the sweep', async () => {
    sweeper.stop();
    await swept.catch(() => undefined);
  });
  const failed = await swept;
  context.logger.info({ failed }, 'swept once');
  return failed;
}

async function sweep({ feedback, reports, fleet, expiry, retention }: Sweeper): Promise<readonly string[]> {
  const failed = new Set(await feedback.readAll());
  for (const app of await reports.drain()) failed.add(app);
  await fleet.look();
  await expiry.look();
  await retention.look();
  return [...failed];
}
