import { parseArgs } from 'node:util';
import { createRegister, openAdminServer, runService, type ServiceContext } from '@pushfleet/service-kit';
import { readRetentionPolicy } from './retention/retention-policy.ts';
import { sweepOnce } from './sweep-once.ts';
import { openSweeper, runSweeper, type Sweeper } from './sweeper.ts';

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
  const policy = readRetentionPolicy(process.env);
  let sweeper: Sweeper | undefined;
  let waiting: string | undefined = 'the start';
  // Before Postgres is needed: a password or a right can be put in order without us, and it is told what is wrong.
  const admin = await openAdminServer({
    ...context.config.admin,
    register,
    readiness: () => sweeper?.readiness() ?? [`waiting for ${waiting ?? 'Redis'}`],
  });
  context.resources.add('the admin server', () => admin.close());
  sweeper = await openSweeper(context, register, {
    policy,
    patienceMs: Number.POSITIVE_INFINITY,
    onWaiting: (reason) => {
      waiting = reason;
    },
  });
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
