import type { FleetApp } from '@pushfleet/service-kit';
import type { FastifyRequest } from 'fastify';
import { isVisible } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';

/** The app that a request is about. One that the key is not for is not there. @throws Problem `unknown-app` */
export function checkApp({ apps }: ProducerContext, request: FastifyRequest, app: string): FleetApp {
  const known = isVisible(request, app) ? apps.get(app) : undefined;
  if (known !== undefined) return known;
  throw new Problem('unknown-app', `app: there is no app ${app}`, {
    errors: [{ field: 'app', message: `there is no app ${app}` }],
  });
}
