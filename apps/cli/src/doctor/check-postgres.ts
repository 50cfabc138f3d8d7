import { openTokenStore, readMigrationState, TokenStoreError } from '@pushfleet/token-store';
import { type ClockReading, readClock } from './check-clock.ts';
import { checkSizes, checkSweepers } from './check-space.ts';
import { type Finding, findingsAbout } from './finding.ts';

const { ok, warning, problem } = findingsAbout('postgres');

/** The oldest version that Pushfleet is tested with. */
const oldestMajor = 15;

export interface PostgresCheck {
  readonly findings: readonly Finding[];
  readonly clock: ClockReading | undefined;
}

/** Whether it answers, whether its schema is ours, and what time it has. */
export async function checkPostgres(connectionString: string, now: () => number): Promise<PostgresCheck> {
  const store = openTokenStore({ connectionString, applicationName: 'pushfleet-doctor', maxConnections: 1 });
  try {
    const { rows } = await store.database.query<{ version: number; standby: boolean }>(
      `select current_setting('server_version_num')::int / 10000 as version, pg_is_in_recovery() as standby`,
    );
    const { version = 0, standby = false } = rows[0] ?? {};
    const findings: Finding[] = [];
    if (version < oldestMajor) {
      findings.push(problem(`it is version ${version}`, `Pushfleet needs ${oldestMajor} or newer.`));
    }
    if (standby) findings.push(problem('it is a standby, which takes no writes', 'Name the primary.'));
    const { pending, unknown } = await readMigrationState(connectionString);
    if (pending.length > 0) {
      findings.push(
        problem(
          `${pending.length === 1 ? 'a migration has' : `${pending.length} migrations have`} not been run: ${pending.join(', ')}`,
          'Run them: pushfleet migrate. Producer and sweeper do so at their start.',
        ),
      );
    }
    if (unknown.length > 0) {
      findings.push(
        warning(
          `it has migrations of a newer version: ${unknown.join(', ')}`,
          'Use the version of this program that the services have.',
        ),
      );
    }
    const clock = await readClock('Postgres', now, async () => {
      const result = await store.database.query<{ ms: number }>(
        'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
      );
      return result.rows[0]!.ms;
    });
    if (pending.length === 0) {
      if (findings.length === 0) findings.push(ok(`PostgreSQL ${version} has the schema of this version`));
      findings.push(...(await checkSizes(store)), ...(await checkSweepers(store)));
    }
    return { findings, clock };
  } catch (error) {
    if (!(error instanceof TokenStoreError)) throw error;
    return {
      findings: [
        problem(
          error.message,
          'Look at DATABASE_URL, and whether it runs. Pushes go out without it; status waits.',
        ),
      ],
      clock: undefined,
    };
  } finally {
    await store.close();
  }
}
