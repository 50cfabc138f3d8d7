import { createHash } from 'node:crypto';
import { parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { type Device, type DeviceRegistration, pageOf } from '@pushfleet/token-store';
import { z } from 'zod';
import { entryOf } from '../audit/audit-origin.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import {
  type DeviceAnswer,
  devicePageSchema,
  deviceSchema,
  registrationAnswerSchema,
  registrationSchema,
} from '../schemas/device-schemas.ts';
import { appId, deviceToken, userId } from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { wholeNumber } from '../schemas/whole-number.ts';
import { checkApp } from './check-app.ts';

const params = z.object({ token: deviceToken });
const querystring = z.strictObject({ app: appId });
const refusals = ['invalid-request', 'unknown-app', 'internal', 'database-unavailable'] as const;

export function addDeviceRoutes(server: ProducerServer, context: ProducerContext): void {
  const { database } = context;

  server.put(
    '/v1/devices/:token',
    {
      config: { scopes: ['devices'] },
      schema: {
        tags: ['Devices'],
        summary: 'Register a device, or refresh its registration',
        description:
          'To be called whenever the app starts: feedback that is older than the last registration does not count ' +
          'against a device. A field left out stays as it is, `null` clears it.',
        params,
        body: registrationSchema,
        response: {
          200: registrationAnswerSchema,
          201: registrationAnswerSchema,
          ...problems(...refusals, ...bodyProblems),
        },
      },
    },
    async (request, reply) => {
      const { app, previousToken, ...fields } = request.body;
      checkApp(context, request, app);
      const registration = withoutUndefined({
        ...fields,
        token: parseDeviceToken(request.params.token),
        previousToken: previousToken === undefined ? undefined : parseDeviceToken(previousToken),
      }) as unknown as DeviceRegistration;
      const { token, created, reactivated, moved, replaced } = await database.store.devices.register(
        app,
        registration,
      );
      void reply.code(created ? 201 : 200);
      return { token, created, reactivated, moved, replaced };
    },
  );

  server.get(
    '/v1/devices',
    {
      config: { scopes: ['devices', 'tokens'] },
      schema: {
        tags: ['Devices'],
        summary: 'The devices of a user',
        description: 'Inactive ones too, page by page.',
        querystring: z.strictObject({
          app: appId,
          userId,
          after: deviceToken.optional().meta({ description: '`next` of the page before.' }),
          limit: wholeNumber({ min: 1, max: 1_000, byDefault: 100 }),
        }),
        response: { 200: devicePageSchema, ...problems(...refusals) },
      },
    },
    async (request) => {
      const { app, userId, after, limit } = request.query;
      checkApp(context, request, app);
      const found = await database.store.devices.ofUser(app, userId, {
        after: after === undefined ? undefined : parseDeviceToken(after),
        limit: limit + 1,
      });
      const { rows, last } = pageOf(found, limit);
      return { devices: rows.map(answerOf), next: last?.token ?? null };
    },
  );

  server.get(
    '/v1/devices/:token',
    {
      config: { scopes: ['devices'] },
      schema: {
        tags: ['Devices'],
        summary: 'What is known of a device',
        params,
        querystring,
        response: { 200: deviceSchema, ...problems(...refusals, 'unknown-device') },
      },
    },
    async (request) => {
      const { app } = request.query;
      checkApp(context, request, app);
      const device = await database.store.devices.get(app, parseDeviceToken(request.params.token));
      if (device === undefined) throw unknownDevice(app);
      return answerOf(device);
    },
  );

  server.delete(
    '/v1/devices/:token',
    {
      config: { scopes: ['devices'] },
      schema: {
        tags: ['Devices'],
        summary: 'Remove a device',
        params,
        querystring,
        response: {
          204: z.undefined().meta({ description: 'It is gone.' }),
          ...problems(...refusals, 'unknown-device'),
        },
      },
    },
    async (request, reply) => {
      const { app } = request.query;
      checkApp(context, request, app);
      const token = parseDeviceToken(request.params.token);
      const removed = await database.store.change(async ({ devices }) => {
        const value = await devices.unregister(app, token);
        const change = {
          action: 'device.remove',
          app,
          target: digestOf(token),
          before: null,
          after: null,
        } as const;
        return { value, entry: value ? entryOf(request, change) : undefined };
      });
      if (!removed) throw unknownDevice(app);
      return reply.code(204).send();
    },
  );
}

function answerOf(device: Device): DeviceAnswer {
  const { deactivation } = device;
  return {
    app: device.app,
    token: device.token,
    userId: device.userId,
    tags: [...device.tags],
    locale: device.locale,
    timeZone: device.timeZone,
    registeredAt: device.registeredAt.toISOString(),
    createdAt: device.createdAt.toISOString(),
    active: device.active,
    deactivation:
      deactivation === null
        ? null
        : {
            at: deactivation.at.toISOString(),
            source: deactivation.source,
            status: deactivation.status,
            evidenceAt: deactivation.evidenceAt.toISOString(),
          },
  };
}

/** Stands for a device in the audit log, which keeps no token. */
function digestOf(token: string): string {
  return `sha256:${createHash('sha256').update(Buffer.from(token, 'hex')).digest('hex')}`;
}

/** Never with the token: problems are shown and kept. */
function unknownDevice(app: string): Problem {
  return new Problem('unknown-device', `app ${app} has no such device`);
}

function withoutUndefined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
