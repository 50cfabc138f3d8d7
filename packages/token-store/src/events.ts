import type { Database } from './database.ts';
import { storableJson } from './storable-text.ts';

// The outbox. Events are written in the transaction of what they tell, and passed on by whoever has webhooks to feed:
//
//   batch.finished           { batch, lane, size, acceptedProved, acceptedPresumed, rejected, expired, cancelled, dead,
//                              finishedAt }
//   notifications.rejected   { batch, notifications: [{ index, notificationId, token, reason, status, atMs }] }, up
//                              to 1,000
//   devices.deactivated      { source, status, devices: [{ token, userId, evidenceAt }] }, up to 500
//   app.paused, app.resumed  { cause, reason, sinceMs }
//   credential.expiring      { daysLeft, threshold, notAfter, fingerprint }
//
// What is not known is null or left out.

export const eventKinds = [
  'batch.finished',
  'notifications.rejected',
  'devices.deactivated',
  'app.paused',
  'app.resumed',
  'credential.expiring',
] as const;
export type EventKind = (typeof eventKinds)[number];

export interface OnceEvent {
  readonly app: string;
  readonly kind: EventKind;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The same in every process that sees it. */
  readonly key: string;
}

/** Of which `app.paused` was told: the rest of its key, and what was told. */
export interface OpenPause {
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface Events {
  /** Writes an event unless one with its key has been written; returns whether it did. @throws TokenStoreError */
  writeOnce(event: OnceEvent): Promise<boolean>;
  /** Pauses whose beginning has been told, and whose end has not. @throws TokenStoreError */
  openPauses(): Promise<OpenPause[]>;
}

export function createEvents(database: Database): Events {
  return {
    async writeOnce({ app, kind, payload, key }) {
      const { rowCount } = await database.query(
        `with fresh as (insert into told_once (key, payload) values ($1, case when $3 = 'app.paused' then $4::jsonb end) on conflict do nothing returning key)
         insert into events (app, kind, payload) select $2, $3, $4::jsonb from fresh`,
        [key, app, kind, storableJson(payload)],
      );
      return rowCount === 1;
    },
    async openPauses() {
      const { rows } = await database.query<OpenPause>(
        `select substr(p.key, 12) as key, p.payload from told_once p
         where starts_with(p.key, 'app.paused ') and p.payload is not null
           and not exists (select from told_once r where r.key = 'app.resumed ' || substr(p.key, 12))`,
      );
      return rows;
    },
  };
}
