import { z } from 'zod';
import { malformations } from '../http2/malformed-answer.ts';
import { statusOf } from '../http2/reasons.ts';

// The faults that `POST /faults` takes: rules, each saying on which port, when, and what goes wrong. Explained with
// examples in apps/gateway-simulator/README.md.

const hex = z
  .string()
  .regex(/^([0-9a-f]{2})+$/i, 'must be hexadecimal, two digits a byte')
  .transform((text) => text.toLowerCase());
const milliseconds = z.int().min(0).max(3_600_000);
const bytes = z.int().min(0).max(1_000_000_000);

const connectionMatch = {
  /** Topic of the client certificate (the UID of its subject); on http2 the bundle id of the notification's topic. */
  app: z.string().min(1).optional(),
  /** Number of the connection at its port: the first one since the start or the last reset is 1. */
  connection: z.int().min(1).optional(),
  /** Every nth connection, by that number; with `connection`, that one and every nth after it. */
  everyNthConnection: z.int().min(1).optional(),
};

const notificationMatch = {
  ...connectionMatch,
  /** Device tokens. */
  token: z.union([hex.transform((token) => [token]), z.array(hex).min(1).max(100_000)]).optional(),
  /** Device tokens that begin with these bytes. */
  tokenPrefix: hex.optional(),
  /** Every nth of the notifications that match all else, over all connections. */
  everyNth: z.int().min(1).optional(),
  /** Once so many notifications of the connection have been handled. */
  after: z.int().min(0).optional(),
};

/** What only HTTP/2 says of a notification. */
const http2Match = {
  ...notificationMatch,
  /** The topic that a notification is sent to, with its suffix. */
  topic: z.string().min(1).max(255).optional(),
};

const limits = {
  /** How often the rule fires before it is used up; without end by default. */
  times: z.int().min(1).optional(),
  /** How long it is in force, milliseconds from its posting; without end by default. */
  forMs: milliseconds.optional(),
};

/** How the error-response packet goes out. */
const packet = {
  /** Sent so much later; what comes in meanwhile is discarded. */
  delayMs: milliseconds.optional(),
  /** Sent once so many more frames have come in and been discarded; with `delayMs`: whichever is first. */
  delayFrames: z.int().min(0).max(100_000_000).optional(),
  /** Each of the six bytes in a write of its own, so many milliseconds apart. */
  splitMs: milliseconds.optional(),
  /** Named instead of the right frame's; 0: which one is unknown. */
  identifier: z.int().min(0).max(0xffff_ffff).optional(),
};

// Faults of a connection, the same at every port.
const close = z.strictObject({ kind: z.literal('close') });
const reset = z.strictObject({ kind: z.literal('reset') });
const stopReading = z.strictObject({ kind: z.literal('stopReading') });
const slowReading = z.strictObject({ kind: z.literal('slowReading'), bytesPerSecond: bytes.min(1) });
/** Everything that comes is taken as before, and nothing is sent back any more: the way back is dead. */
const mute = z.strictObject({ kind: z.literal('mute') });
const refuse = z.strictObject({ kind: z.literal('refuse') });
const closePort = z.strictObject({ kind: z.literal('closePort') });

const binaryAction = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('reject'), status: z.int().min(0).max(255).default(8), ...packet }),
  z.strictObject({ kind: z.literal('shutdown'), ...packet }),
  /** Frames that are bad by themselves, such as known-bad ones, are discarded in silence; the connection goes on. */
  z.strictObject({ kind: z.literal('ignoreDefects') }),
  close,
  reset,
  mute,
  stopReading,
  slowReading,
  refuse,
  closePort,
]);

const feedbackAction = z.discriminatedUnion('kind', [
  /** Sends so many bytes and closes. */
  z.strictObject({ kind: z.literal('cut'), afterBytes: bytes }),
  /** Sends so many bytes and then nothing, without closing. */
  z.strictObject({ kind: z.literal('hang'), afterBytes: bytes.default(0) }),
  /** Sends so many bytes at a time. */
  z.strictObject({ kind: z.literal('slice'), bytes: bytes.min(1), everyMs: milliseconds.default(0) }),
  close,
  /** Sends so many bytes and resets the connection. */
  z.strictObject({ kind: z.literal('reset'), afterBytes: bytes.default(0) }),
  refuse,
  closePort,
]);

/** Whether the notification is taken (and the ledger counts it) though nobody hears of it. */
const taken = z.boolean().default(false);

const http2Action = z.discriminatedUnion('kind', [
  /** Answers with a status and a reason; without a reason, or with `body`, with that body. */
  z.strictObject({
    kind: z.literal('respond'),
    reason: z.string().min(1).max(200).optional(),
    /** By default that of the reason. */
    status: z.int().min(200).max(599).optional(),
    /** Epoch milliseconds; in the body. */
    timestamp: z.int().min(0).optional(),
    /** The header `retry-after`: seconds, or an HTTP date. */
    retryAfter: z
      .union([
        z.int().min(0),
        z.string().regex(/^[\x21-\x7e][\x20-\x7e]{0,99}$/, 'must be 1 to 100 characters of ASCII'),
      ])
      .optional(),
    /** Instead of the JSON with reason and timestamp. */
    body: z.string().max(100_000).optional(),
    /** More headers, or others, of the answer. */
    headers: z
      .record(
        z.string().regex(/^[a-z0-9-]{1,100}$/, 'must be of a-z, 0-9 and -'),
        z.string().regex(/^[\x20-\x7e]{0,1000}$/, 'must be ASCII'),
      )
      .optional(),
    delayMs: milliseconds.optional(),
  }),
  /** Answers as it would, so much later. */
  z.strictObject({ kind: z.literal('delay'), ms: milliseconds }),
  /** Never answers. */
  z.strictObject({ kind: z.literal('hang'), taken }),
  /** Ends the stream with RST_STREAM. REFUSED_STREAM, 7, promises that it was not taken. */
  z.strictObject({
    kind: z.literal('resetStream'),
    code: z.int().min(0).max(0xffff_ffff).default(2),
    taken,
  }),
  /** Answers with a header section that RFC 9113 calls malformed: an error of its stream, and of no other. */
  z.strictObject({
    kind: z.literal('malformed'),
    defect: z.enum(malformations).default('noStatus'),
    taken,
  }),
  z.strictObject({
    kind: z.literal('goaway'),
    /** By default that of the last stream that has come. */
    lastStreamId: z.int().min(0).max(0x7fff_ffff).optional(),
    /** So many streams before it. */
    streamsBack: z.int().min(0).max(1_000_000).optional(),
    reason: z.string().min(1).max(200).optional(),
    /** Of the frame; 0: no error. */
    code: z.int().min(0).max(0xffff_ffff).default(0),
    /** Whether streams up to the last one are still answered. */
    answers: z.boolean().default(true),
    /** Whether the connection is closed once they are, or after a while. */
    closes: z.boolean().default(true),
  }),
  z.strictObject({ kind: z.literal('dropPings') }),
  /** SETTINGS with another MAX_CONCURRENT_STREAMS. */
  z.strictObject({ kind: z.literal('streamLimit'), limit: z.int().min(0).max(0x7fff_ffff) }),
  close,
  reset,
  mute,
  stopReading,
  slowReading,
  refuse,
  closePort,
]);

const binaryRule = z.strictObject({
  on: z.literal('binary'),
  match: z.strictObject(notificationMatch).default({}),
  ...limits,
  action: binaryAction,
});

const feedbackRule = z.strictObject({
  on: z.literal('feedback'),
  match: z.strictObject(connectionMatch).default({}),
  ...limits,
  action: feedbackAction,
});

const http2Rule = z.strictObject({
  on: z.literal('http2'),
  match: z.strictObject(http2Match).default({}),
  ...limits,
  action: http2Action,
});

const faultRuleSchema = z
  .discriminatedUnion('on', [binaryRule, feedbackRule, http2Rule])
  .superRefine((rule, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const { action } = rule;
    const { kind } = action;
    if (kind === 'respond' && action.status === undefined && statusOf(action.reason ?? '') === undefined) {
      problem(['action', 'status'], 'is required, since there is no reason that tells it');
    }
    if (kind === 'goaway' && action.lastStreamId !== undefined && action.streamsBack !== undefined) {
      problem(['action', 'streamsBack'], 'does not go with lastStreamId');
    }
    if (kind === 'goaway' && action.lastStreamId !== undefined && action.lastStreamId % 2 === 0) {
      if (action.lastStreamId > 0)
        problem(['action', 'lastStreamId'], "must be odd, as a client's streams are, or 0");
    }
    if (
      kind === 'dropPings' &&
      Object.keys(rule.match).some((name) => !['connection', 'everyNthConnection', 'after'].includes(name))
    ) {
      problem(
        ['match'],
        'may only name connection, everyNthConnection and after: a ping belongs to no app and no notification',
      );
    }
    if (kind !== 'refuse' && kind !== 'closePort') return;
    for (const name of Object.keys(rule.match)) {
      if (kind === 'refuse' && (name === 'connection' || name === 'everyNthConnection')) continue;
      problem(['match', name], `is not known when ${kind} happens, which is before the handshake`);
    }
    if (kind === 'closePort' && rule.forMs === undefined) {
      problem(['forMs'], 'is required: how long the port stays closed');
    }
  });

export const faultsBodySchema = z.strictObject({
  rules: z.array(faultRuleSchema).max(1_000),
  /** Adds to the rules in force instead of replacing them. */
  add: z.boolean().default(false),
});

export type FaultRule = z.infer<typeof faultRuleSchema>;
export type BinaryRule = z.infer<typeof binaryRule>;
type FeedbackRule = z.infer<typeof feedbackRule>;
export type Http2Rule = z.infer<typeof http2Rule>;
export type BinaryAction = BinaryRule['action'];
export type Http2Action = Http2Rule['action'];
export type FeedbackAction = FeedbackRule['action'];
/** What a client of the control API sends. */
export type FaultsBody = z.input<typeof faultsBodySchema>;

/** The port that a rule is for. */
export type PortName = 'binary' | 'feedback' | 'http2';
