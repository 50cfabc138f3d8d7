import { parseArgs } from 'node:util';
import { createRegister, openAdminServer, runService, type ServiceContext } from '@pushfleet/service-kit';
import { readRetentionPolicy } from './retention/retention-policy.ts';
import { sweepOnce } from './sweep-once.ts';
import { openSweeper, runSweeper } from './sweeper.ts';

const usage = `Usage: sweeper [--once]

Brings what the gateways said of notifications and devices into Postgres, until it is stopped.

  --once   read every app's feedback service and all outcome reports, apply them, and exit; for cron.
           Exits with 1 when an app's feedback service or outcome reports could not be read.`;

const { once, help } = readArguments();
if (help) {
  console.log(usage);
  process.exit(0);
}

await runService({ name: 'sweeper', env: process.env, database: true, start: once ? startOnce : start });

async function start(context: ServiceContext): Promise<Readonly<Record<string, number>>> {
  const register = createRegister();
  const sweeper = await openSweeper(context, register, readRetentionPolicy(process.env));
  const admin = await openAdminServer({
    ...context.config.admin,
    register,
    readiness: () => sweeper.readiness(),
  });
  context.resources.add('the admin server', () => admin.close());
  runSweeper(sweeper, context);
  return { adminPort: admin.port };
}

/** Ends the process. */
async function startOnce(context: ServiceContext): Promise<never> {
  const failed = await sweepOnce(context, readRetentionPolicy(process.env));
  await context.resources.release();
  process.exit(failed.length === 0 ? 0 : 1);
}

function readArguments(): { once: boolean; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return { once: values.once === true, help: values.help === true };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}
