import type { LoggedNotification } from '../ledger/notification-log.ts';
import { broadcastAppOf } from './channels/channel-paths.ts';
import { headerOf, type PushRequest } from './push-request.ts';

/** A token that is none may be of any length. */
const longestTokenText = 400;

/** Those that tell how a notification is to be delivered and have no field of their own. */
const keptHeaders = ['apns-topic', 'apns-push-type', 'apns-collapse-id', 'apns-channel-id'];

/** What the log says of a request. */
export function toLogEntry(
  request: PushRequest,
): Omit<LoggedNotification, 'sequence' | 'app' | 'connection' | 'outcome'> {
  const { headers, bytes, tokenLength, tokenText, path } = request;
  const apnsId = headerOf(headers, 'apns-id');
  const expiration = headerOf(headers, 'apns-expiration');
  const kept = keptHeaders.flatMap((name) => {
    const value = headerOf(headers, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    at: Date.now(),
    transport: 'http2',
    // The channel of a broadcast is among the headers.
    token: broadcastAppOf(path) === undefined ? tokenText.toLowerCase().slice(0, longestTokenText) : '',
    payload: bytes.toString('utf8', tokenLength),
    ...(apnsId === undefined ? {} : { apnsId }),
    ...(expiration === undefined ? {} : { expiration: Number(expiration) }),
    priority: Number(headerOf(headers, 'apns-priority') ?? 10),
    headers: Object.fromEntries(kept),
  };
}
