import { type ApiKey, hashApiKey } from '@pushfleet/token-store';
import { z } from 'zod';
import type { Grant } from './grant.ts';

// Keys as the ring holds them, and as they lie in Redis. A newer version may have written the copy, or an older one.

/** A key in force. */
export interface RingedKey {
  readonly id: string;
  readonly hash: Buffer;
  /** Epoch milliseconds; infinite: it does not expire. */
  readonly expiresAtMs: number;
  /** The secret before the last rotation, while it is good. */
  readonly previous: { readonly hash: Buffer; readonly untilMs: number } | undefined;
  readonly grant: Grant;
}

const hash = z.base64().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== hashApiKey('').length) context.addIssue('is no hash of a key');
  return bytes;
});

/** Fields that are not known here may be there. */
const copySchema = z.object({
  id: z.string(),
  name: z.string().optional(),
  hash,
  apps: z.array(z.string()).nullable(),
  scopes: z.array(z.string()),
  ratePerSecond: z.number().positive().nullable(),
  /** Absent: it was written before keys could expire. */
  expiresAtMs: z.number().nullable().optional(),
  previous: z.object({ hash, untilMs: z.number() }).optional(),
});

/** What scopes were good for before they were split. */
const splitScopes: Readonly<Record<string, readonly string[]>> = {
  send: ['broadcast', 'cancel'],
  read: ['exceptions', 'tokens'],
  devices: ['tokens'],
};

/** The text that is kept in Redis. */
export function formatCopy(keys: readonly ApiKey[]): string {
  return JSON.stringify(
    keys.map(({ id, name, hash: bytes, apps, scopes, ratePerSecond, expiresAt, ...key }) => ({
      ...{ id, name, hash: bytes.toString('base64'), apps, scopes, ratePerSecond },
      expiresAtMs: expiresAt?.getTime() ?? null,
      ...(key.previousHash === null || key.previousUntil === null
        ? {}
        : {
            previous: { hash: key.previousHash.toString('base64'), untilMs: key.previousUntil.getTime() },
          }),
    })),
  );
}

/** The keys of a copy; those that cannot be read are counted. Undefined: nothing of it can be read. */
export function parseCopy(text: string): { keys: RingedKey[]; unreadable: number } | undefined {
  let copies: unknown;
  try {
    copies = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(copies)) return undefined;
  const keys = copies.flatMap((copy): RingedKey[] => {
    const { data } = copySchema.safeParse(copy);
    return data === undefined ? [] : [toRinged(data)];
  });
  return { keys, unreadable: copies.length - keys.length };
}

function toRinged(copy: z.infer<typeof copySchema>): RingedKey {
  const { id, name, hash: current, apps, scopes, ratePerSecond, expiresAtMs, previous } = copy;
  const isOld = expiresAtMs === undefined;
  return {
    id,
    hash: current,
    expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
    previous,
    grant: {
      keyId: id,
      keyName: name,
      apps: apps === null ? undefined : new Set(apps),
      scopes: new Set(isOld ? scopes.flatMap((scope) => [scope, ...(splitScopes[scope] ?? [])]) : scopes),
      ratePerSecond: ratePerSecond ?? undefined,
    },
  };
}
