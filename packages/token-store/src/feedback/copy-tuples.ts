/// <reference path="./pg-copy-streams.d.ts" />
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from } from 'pg-copy-streams';

/** A tuple of the feedback service, as it was read. */
export interface FeedbackTuple {
  /** Epoch seconds. */
  readonly timestamp: number;
  readonly token: Uint8Array;
}

const columnCount = 4;
/** Binary COPY (PostgreSQL, "COPY": Binary Format): signature, flags, length of the header's extension. */
const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
/** Number of columns, or -1 at the end. */
const end = Buffer.from([0xff, 0xff]);
const fixedLength = 2 + (4 + 8) + (4 + 4) + (4 + 8) + 4;

/** Stores tuples under positions from `firstPosition` on, as one chunk to be applied; all or nothing. */
export async function copyTuples(
  client: pg.Client,
  reading: string,
  firstPosition: number,
  tuples: readonly FeedbackTuple[],
): Promise<void> {
  await client.query('begin');
  try {
    await copyRows(client, encodeRows(reading, firstPosition, tuples));
    // The reading's own row is left alone: those who apply chunks would wait for this commit there.
    await client.query('insert into feedback_chunks values ($1, $2, $3)', [
      reading,
      firstPosition,
      firstPosition - 1 + tuples.length,
    ]);
    await client.query('commit');
  } catch (error) {
    // Where the connection is gone, so is the transaction.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function copyRows(client: pg.Client, rows: Buffer): Promise<void> {
  const copy = client.query(
    from('copy feedback_tuples (reading, position, time, token) from stdin (format binary)'),
  );
  await pipeline(Readable.from([header, rows, end]), copy);
}

function encodeRows(reading: string, firstPosition: number, tuples: readonly FeedbackTuple[]): Buffer {
  const id = BigInt(reading);
  const rows = Buffer.allocUnsafe(tuples.reduce((sum, { token }) => sum + fixedLength + token.length, 0));
  let at = 0;
  for (const [place, { timestamp, token }] of tuples.entries()) {
    at = rows.writeInt16BE(columnCount, at);
    at = rows.writeInt32BE(8, at);
    at = rows.writeBigInt64BE(id, at);
    at = rows.writeInt32BE(4, at);
    at = rows.writeInt32BE(firstPosition + place, at);
    at = rows.writeInt32BE(8, at);
    at = rows.writeBigInt64BE(BigInt(timestamp), at);
    at = rows.writeInt32BE(token.length, at);
    rows.set(token, at);
    at += token.length;
  }
  return rows;
}
