import { provideRedis } from './services/redis.ts';
import { NoServiceError } from './services/service-source.ts';

// Tries the way to a Redis once before many test runs need one: what has to be fetched or installed is then there,
// and where there is no way, it is said once and clearly.
try {
  const redis = await provideRedis({ prefer: 'program', announce: false });
  await redis.stop();
} catch (cause) {
  if (!(cause instanceof NoServiceError)) throw cause;
  console.error(cause.message);
  process.exitCode = 1;
}
