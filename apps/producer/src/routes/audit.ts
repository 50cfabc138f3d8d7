import { pageOf } from '@pushfleet/token-store';
import type { ProducerContext } from '../context.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { auditPageSchema, auditQuerySchema } from '../schemas/audit-schemas.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

export function addAuditRoutes(server: ProducerServer, context: ProducerContext): void {
  const { audit, database } = context;

  server.get(
    '/v1/audit',
    {
      config: { scopes: ['audit'] },
      schema: {
        tags: ['Audit'],
        summary: 'Who changed what, the newest first',
        description:
          'By the API and by the command line: keys, webhooks, pauses, cancellations, broadcasts, dead letters. ' +
          'Without secrets, device tokens and what people are told.',
        querystring: auditQuerySchema,
        response: {
          200: auditPageSchema,
          ...problems('invalid-request', 'unknown-app', 'internal', 'database-unavailable'),
        },
      },
    },
    async (request) => {
      const { app, since, until, limit, before, after = before, ...query } = request.query;
      if (app !== undefined) checkApp(context, request, app);
      const { apps } = request.grant;
      await audit.settled();
      const found = await database.store.auditLog.list({
        ...query,
        before: after,
        apps: app !== undefined ? [app] : apps === undefined ? undefined : [...apps],
        since: dateOf(since),
        until: dateOf(until),
        limit: limit + 1,
      });
      const { rows, last } = pageOf(found, limit);
      const entries = rows.map(({ at, ...entry }) => ({ ...entry, at: at.toISOString() }));
      return { entries, next: last?.id ?? null };
    },
  );
}

function dateOf(time: string | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
