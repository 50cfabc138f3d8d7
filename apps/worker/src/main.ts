import { createRegister, openAdminServer, runService } from '@pushfleet/service-kit';
import { openCredentials } from './open-credentials.ts';
import { openWorker } from './worker.ts';

await runService({
  name: 'worker',
  env: process.env,
  async start(context) {
    const { config, logger, resources, tracer } = context;
    const register = createRegister();
    const apps = await openCredentials(context);
    const worker = await openWorker({
      apps,
      redisUrl: config.redisUrl,
      redisPrefix: config.redisPrefix,
      lockDurationMs: config.lockDurationMs,
      connections: config.connections,
      register,
      logger,
      tracer,
    });
    resources.add('the worker', () => worker.stop(config.drainTimeoutMs));
    const admin = await openAdminServer({
      ...config.admin,
      register,
      readiness: () => worker.readiness(),
      details: () => worker.details(),
    });
    resources.add('the admin server', () => admin.close());
    return { adminPort: admin.port };
  },
});
