import { locateCredential, type WatchedCredential, watchCredential } from '@pushfleet/apns-credentials';
import { ConfigError, type FleetApp, type ServiceContext } from '@pushfleet/service-kit';

/**
 * Reads the credentials of all apps, keeps them up to date, and logs which of them are not good.
 * @throws ConfigError when not one of them can be used: the worker could not send anything
 */
export async function openCredentials({
  config,
  logger,
  resources,
}: ServiceContext): Promise<{ readonly app: FleetApp; readonly credential: WatchedCredential }[]> {
  const opened = await Promise.all(
    config.apps.map(async (app) => {
      const credential = await watchCredential(locateCredential(app.credential), {
        use: { topic: app.topic, environment: app.environment },
      });
      resources.add(`the credential of ${app.id}`, () => credential.close());
      return { app, credential };
    }),
  );
  const problems = opened.flatMap(({ app, credential }) =>
    credential.problem === undefined
      ? []
      : [{ field: `apps.${app.id}.credential`, message: credential.problem.message }],
  );
  if (problems.length === opened.length) throw new ConfigError(problems);
  for (const { app, credential } of opened) {
    const logProblem = (problem: { readonly message: string } | undefined) => {
      const fields = { app: app.id, reason: problem?.message };
      if (problem === undefined) logger.info(fields, 'the credential can be used again');
      else if (isUsable(credential)) {
        logger.error(fields, 'the credential cannot be used; the earlier one stays in use');
      } else
        logger.error(
          fields,
          'the credential cannot be used, and there is no earlier one: the app is not sent for',
        );
    };
    if (credential.problem !== undefined) logProblem(credential.problem);
    credential.onProblem(logProblem);
  }
  return opened;
}

/** Whether there has been a good one. */
function isUsable(credential: WatchedCredential): boolean {
  try {
    credential.current();
    return true;
  } catch {
    return false;
  }
}
