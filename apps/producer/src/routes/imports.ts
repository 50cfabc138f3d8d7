import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { recordFile } from '../audit/record-file.ts';
import { whileGood } from '../auth/while-good.ts';
import type { ProducerContext } from '../context.ts';
import { checkEncoding } from '../http/body-types.ts';
import { Problem } from '../http/problem.ts';
import { type ProducerServer, typed } from '../http/typed-server.ts';
import { FileAdmission } from '../imports/file-admission.ts';
import { importDevices } from '../imports/import-devices.ts';
import { readCsv, readLines } from '../imports/read-records.ts';
import { readUserIds } from '../imports/read-user-ids.ts';
import { appId } from '../schemas/notification-schemas.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

const querystring = z.strictObject({ app: appId });
const refusals = [
  'invalid-request',
  'unknown-app',
  'unsupported-media-type',
  'internal',
  'database-unavailable',
  'backpressure',
] as const;
const count = z.int().min(0);

const importAnswerSchema = z
  .strictObject({
    imported: count,
    created: count,
    reactivated: count,
    moved: count,
    errorCount: count.meta({ description: 'Lines that were passed over.' }),
    errors: z
      .array(z.strictObject({ line: z.int().min(1), field: z.string(), message: z.string() }))
      .meta({ description: 'The first 1,000.' }),
  })
  .meta({ id: 'DeviceImport' });

const uploadAnswerSchema = z
  .strictObject({ uploadId: z.uuid(), users: z.int().min(1) })
  .meta({ id: 'Upload' });

/** Bodies of any length, which are read as they come. */
const streamed = ['application/x-ndjson', 'text/csv', 'text/plain'];

export async function addImportRoutes(server: ProducerServer, context: ProducerContext): Promise<void> {
  const { database } = context;
  const admission = new FileAdmission();
  // In a scope of their own: no other route takes these types.
  await server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(streamed, (request, payload, done) => {
      try {
        checkEncoding(request);
        done(null, payload);
      } catch (error) {
        done(error as Error);
      }
    });
    const routes = typed(scope);

    routes.post(
      '/v1/devices/import',
      {
        config: { scopes: ['devices'] },
        schema: {
          tags: ['Devices'],
          summary: 'Register devices from a file of any length',
          description:
            'NDJSON, a device each line, or CSV whose first line names the columns (`token`, `userId`, `tags` parted ' +
            'by semicolons, `locale`, `timeZone`, `registeredAt`). Lines that are not right are told and passed over.',
          querystring,
          response: { 200: importAnswerSchema, ...problems(...refusals) },
        },
      },
      async (request) => {
        const { app } = request.query;
        checkApp(context, request, app);
        const { devices } = database.store;
        const format =
          formatOf(request, ['application/x-ndjson', 'text/csv']) === 'text/csv' ? 'csv' : 'ndjson';
        const source = whileGood(context.keys, request, request.body as unknown as AsyncIterable<Buffer>);
        const records = format === 'csv' ? readCsv(source) : readLines(source);
        const leave = await admission.enter(request.grant.keyId ?? '');
        try {
          const change = { action: 'devices.import', app, target: null } as const;
          return await recordFile(database.store, request, change, async () => {
            const value = await importDevices(records, { devices, app, format });
            const { errors: _, ...after } = value;
            return { value, after };
          });
        } finally {
          leave();
        }
      },
    );

    routes.post(
      '/v1/uploads',
      {
        config: { scopes: ['broadcast'] },
        schema: {
          tags: ['Broadcasts'],
          summary: 'Upload a list of users for a broadcast',
          description:
            'User ids: as text, one a line, or as NDJSON (`"user-1"` or `{"userId":"user-1"}` each line).',
          querystring,
          response: { 201: uploadAnswerSchema, ...problems(...refusals) },
        },
      },
      async (request, reply) => {
        const { app } = request.query;
        checkApp(context, request, app);
        const { uploads } = database.store;
        const isText = formatOf(request, ['text/plain', 'application/x-ndjson']) === 'text/plain';
        const source = whileGood(context.keys, request, request.body as unknown as AsyncIterable<Buffer>);
        const lines = readLines(source);
        const uploadId = randomUUID();
        const leave = await admission.enter(request.grant.keyId ?? '');
        try {
          const change = { action: 'upload.create', app, target: uploadId } as const;
          const users = await recordFile(database.store, request, change, async () => {
            const value = await uploads.create(uploadId, app, readUserIds(lines, isText));
            return { value, after: { users: value } };
          });
          void reply.code(201);
          return { uploadId, users };
        } finally {
          leave();
        }
      },
    );
  });
}

/** @throws Problem */
function formatOf(request: FastifyRequest, allowed: readonly string[]): string {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== undefined && allowed.includes(type) && request.body !== null) return type;
  throw new Problem('unsupported-media-type', `the body must be ${allowed.join(' or ')}`);
}
