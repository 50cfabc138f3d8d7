import type { IncomingHttpHeaders } from 'node:http2';
import type { TokenSizes } from '../options.ts';
import { broadcastAppOf } from './channels/channel-paths.ts';
import { fitsTopic, isPushType } from './push-types.ts';
import type { Reason } from './reasons.ts';

/** One request to the gateway, complete; fields hold what could be read, right or wrong. */
export interface PushRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
  /** As it stands in the path; of a broadcast, the channel's id. */
  readonly tokenText: string;
  /** Token or id, then payload. */
  readonly bytes: Buffer;
  readonly tokenLength: number;
  readonly payloadLength: number;
  /** `undefined` where the header is absent. */
  readonly topic: string | undefined;
  readonly pushType: string | undefined;
}

const devicePath = '/3/device/';

export function readPushRequest(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  body: readonly Buffer[],
): PushRequest {
  const path = headers[':path'] ?? '';
  const isDevice = path.startsWith(devicePath);
  const broadcastApp = isDevice ? undefined : broadcastAppOf(path);
  const isBroadcast = broadcastApp !== undefined;
  const channelId = isBroadcast ? (headerOf(headers, 'apns-channel-id') ?? '') : '';
  const tokenText = isDevice ? path.slice(devicePath.length) : channelId;
  // Stops at what is no hexadecimal digit: a bad token is refused further below, for its length.
  const token = Buffer.from(tokenText, isBroadcast ? 'base64' : 'hex');
  const pushType = headerOf(headers, 'apns-push-type');
  const bytes = Buffer.concat([token, ...body]);
  return {
    method: headers[':method'] ?? '',
    path,
    headers,
    rawHeaders,
    tokenText,
    bytes,
    tokenLength: token.length,
    payloadLength: bytes.length - token.length,
    topic: broadcastApp ?? headerOf(headers, 'apns-topic'),
    // Apple's pages on broadcasts write LiveActivity.
    pushType: isBroadcast ? pushType?.toLowerCase() : pushType,
  };
}

export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Whether it is a push at all. */
export function checkRoute({ method, path }: PushRequest): Reason | undefined {
  if (!path.startsWith(devicePath) && broadcastAppOf(path) === undefined) {
    return path === '/3/device' ? 'MissingDeviceToken' : 'BadPath';
  }
  return method === 'POST' ? undefined : 'MethodNotAllowed';
}

/** What is wrong with the headers of a push. */
export function checkHeaders(request: PushRequest): Reason | undefined {
  const { headers, pushType } = request;
  if (hasDuplicates(request.rawHeaders)) return 'DuplicateHeaders';
  const apnsId = headerOf(headers, 'apns-id');
  if (apnsId !== undefined && !uuid.test(apnsId)) return 'BadMessageId';
  if (pushType !== undefined && !isPushType(pushType)) return 'InvalidPushType';
  const priority = headerOf(headers, 'apns-priority') ?? usualPriority;
  if (!isPriority(priority, pushType)) return 'BadPriority';
  const expiration = headerOf(headers, 'apns-expiration');
  if (expiration !== undefined && !/^\d{1,10}$/.test(expiration)) return 'BadExpirationDate';
  const collapseId = headerOf(headers, 'apns-collapse-id');
  if (collapseId !== undefined && !isCollapseId(collapseId)) return 'BadCollapseId';
  return undefined;
}

/** What is wrong with the topic of a push to a device. */
export function checkTopic({ topic, pushType }: PushRequest): Reason | undefined {
  if (topic === undefined) return undefined;
  if (!topicForm.test(topic)) return 'BadTopic';
  const isFitting = pushType === undefined || !isPushType(pushType) || fitsTopic(pushType, topic);
  return isFitting ? undefined : 'BadTopic';
}

/** What is wrong with a device token. */
export function checkToken(
  { tokenText, tokenLength }: PushRequest,
  { min, max }: TokenSizes,
): Reason | undefined {
  if (tokenText === '') return 'MissingDeviceToken';
  const isSound = tokenLength >= min && tokenLength <= max && 2 * tokenLength === tokenText.length;
  return isSound ? undefined : 'BadDeviceToken';
}

/** What is wrong with a payload. */
export function checkPayload(request: PushRequest): Reason | undefined {
  const { payloadLength, path, headers, pushType } = request;
  if (payloadLength === 0) return 'PayloadEmpty';
  const isLarge = isVoip(request) || broadcastAppOf(path) !== undefined;
  if (payloadLength > (isLarge ? largePayloadLimit : payloadLimit)) return 'PayloadTooLarge';
  const isAlert = pushType === undefined || pushType === 'alert';
  const priority = headerOf(headers, 'apns-priority') ?? usualPriority;
  return isAlert && priority === '10' && isForBackground(request) ? 'BadPriority' : undefined;
}

/** Without a push type the topic tells. */
function isVoip({ pushType, topic }: PushRequest): boolean {
  return pushType === 'voip' || (pushType === undefined && topic?.endsWith('.voip') === true);
}

/** Whether a payload wakes the app and shows, sounds and counts nothing: it must not have priority 10. */
function isForBackground({ bytes, tokenLength }: PushRequest): boolean {
  if (!bytes.includes('"content-available"', tokenLength)) return false;
  try {
    const { aps } = JSON.parse(bytes.toString('utf8', tokenLength)) as { aps?: Record<string, unknown> };
    const names = Object.keys(aps ?? {});
    return aps?.['content-available'] === 1 && !names.some((name) => forTheUser.has(name));
  } catch {
    // What is no JSON is no business of the gateway's.
    return false;
  }
}

const forTheUser: ReadonlySet<string> = new Set(['alert', 'sound', 'badge']);

/** Of a push that names none. */
const usualPriority = '10';

/** Bytes; the larger limit is that of VoIP pushes and of broadcasts (Apple, "Generating a remote notification"). */
const payloadLimit = 4_096;
const largePayloadLimit = 5_120;
const longestCollapseId = 64;

/** The most that is kept of a body; it is too large for every push type then. */
export const longestBody = largePayloadLimit + 1;

/** In its canonical form, which is in lower case. */
const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
/** A bundle id and perhaps a suffix; or, for mdm, what Apple put into the certificate. */
const topicForm = /^[A-Za-z0-9._-]{1,255}$/;

function isPriority(text: string, pushType: string | undefined): boolean {
  if (pushType === 'background') return text === '5';
  return text === '10' || text === '5' || text === '1';
}

function isCollapseId(text: string): boolean {
  // Node.js gives each byte of a header as one character.
  return text !== '' && text.length <= longestCollapseId;
}

/** Only cookies may be repeated (RFC 9113 section 8.2.3). Node.js joins or drops repeated headers before anybody sees them. */
function hasDuplicates(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name === 'cookie') continue;
    for (let other = at + 2; other < rawHeaders.length; other += 2) {
      if (rawHeaders[other] === name) return true;
    }
  }
  return false;
}
