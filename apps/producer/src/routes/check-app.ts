import type { FleetApp } from '@pushfleet/service-kit';
import type { FastifyRequest } from 'fastify';
import { authorizeApp } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';

/** The app that a request is about. @throws Problem `unknown-app` or `forbidden` */
export function checkApp({ apps }: ProducerContext, request: FastifyRequest, app: string): FleetApp {
  authorizeApp(request, app);
  const known = apps.get(app);
  if (known !== undefined) return known;
  throw new Problem('unknown-app', `app: there is no app ${app}`, {
    errors: [{ field: 'app', message: `there is no app ${app}` }],
  });
}
