import { locateCredential, watchCredential } from '@pushfleet/apns-credentials';
import { createRegister, openAdminServer, runService } from '@pushfleet/service-kit';
import { openWorker } from './worker.ts';

await runService({
  name: 'worker',
  env: process.env,
  async start({ config, logger, resources }) {
    const register = createRegister();
    const apps = await Promise.all(
      config.apps.map(async (app) => {
        const credential = await watchCredential(locateCredential(app.credential), {
          use: { topic: app.topic, environment: app.environment },
        });
        resources.add(`the credential of ${app.id}`, () => credential.close());
        return { app, credential };
      }),
    );
    const worker = await openWorker({
      apps,
      redisUrl: config.redisUrl,
      redisPrefix: config.redisPrefix,
      lockDurationMs: config.lockDurationMs,
      register,
      logger,
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
