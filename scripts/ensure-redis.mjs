import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureRedis } from './setup/redis.mjs';
import { reportSetupError } from './setup/steps.mjs';

// Makes sure that a Redis can be had, as `npm test` does first; for the tests of a single workspace.
try {
  await ensureRedis(dirname(dirname(fileURLToPath(import.meta.url))), process.env);
} catch (error) {
  reportSetupError(error);
}
