import type { TestProject } from 'vitest/node';
import './provided.ts';
import { providePostgres } from '../services/postgres.ts';

/** A vitest global set-up: one Postgres for all test files of a package, by `inject('databaseUrl')`. */
export default async function providePostgresToTests(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await providePostgres();
  project.provide('databaseUrl', postgres.url);
  return async () => postgres.stop();
}
