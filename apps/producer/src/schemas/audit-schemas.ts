import { auditActions, auditResults } from '@pushfleet/token-store';
import { z } from 'zod';
import { id } from './id-schema.ts';
import { appId } from './notification-schemas.ts';
import { afterOf, formerlyAfter, nextOf } from './page-schemas.ts';
import { wholeNumber } from './whole-number.ts';

const text = z.string().max(200);
const time = z.iso.datetime({ offset: true });

export const auditQuerySchema = z.strictObject({
  app: appId.optional().meta({ description: 'By default of all apps that the key is for.' }),
  actor: text.optional().meta({ description: 'Id or name of a key, or `user@host` of the command line.' }),
  action: z.enum(auditActions).optional(),
  target: text.optional().meta({ description: 'Id of what was changed.' }),
  since: time.optional().meta({ description: 'From this time on.' }),
  until: time.optional().meta({ description: 'Before this time.' }),
  after: afterOf(id),
  before: formerlyAfter(id),
  limit: wholeNumber({ min: 1, max: 500, byDefault: 100 }),
});

const fields = z.record(z.string(), z.unknown()).nullable();

const auditEntrySchema = z
  .strictObject({
    id: z.uuid(),
    at: z.iso.datetime(),
    actor: z.strictObject({
      kind: z.string().meta({ description: '`key`, `cli`, or `anyone` where keys are off.' }),
      id: z.string().nullable().meta({ description: 'Id of the key, or `user@host`.' }),
      name: z.string().nullable().meta({ description: 'Name of the key.' }),
    }),
    address: z.string().nullable().meta({ description: 'IP address that it came from.' }),
    requestId: z.string().nullable(),
    action: z.string().meta({ description: 'Such as `app.pause`.' }),
    app: z.string().nullable(),
    target: z.string().nullable().meta({ description: 'Id of what was changed.' }),
    before: fields,
    after: fields,
    result: z.string().meta({
      description: `${auditResults.map((result) => `\`${result}\``).join(', ')}; \`begun\`: whether it was done is not known.`,
    }),
  })
  .meta({ id: 'AuditEntry' });

export const auditPageSchema = z
  .strictObject({
    entries: z.array(auditEntrySchema),
    next: nextOf(z.uuid()),
  })
  .meta({ id: 'AuditPage' });
