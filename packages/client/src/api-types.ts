// Made from docs/openapi.json by test/api-types.test.ts; not to be edited.

export type AlertParts = {
  /** Of a Live Activity it may be localized. */
  readonly title?: string | LocalizedText;
  readonly subtitle?: string;
  /** Of a Live Activity it may be localized. */
  readonly body?: string | LocalizedText;
  readonly launchImage?: string;
  readonly titleLocKey?: string | null;
  readonly titleLocArgs?: readonly string[] | null;
  readonly subtitleLocKey?: string | null;
  readonly subtitleLocArgs?: readonly string[] | null;
  readonly locKey?: string | null;
  readonly locArgs?: readonly string[] | null;
  readonly actionLocKey?: string | null;
  /** Of Safari’s website pushes. */
  readonly action?: string;
  /** Of a Live Activity. */
  readonly sound?: string;
};

export type App = {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly topic: string;
  readonly environment: 'production' | 'sandbox';
  readonly transport: 'binary' | 'http2';
  readonly state: 'running' | 'paused';
  /** Why it is paused; it runs when there is none. */
  readonly pauses: readonly {
    readonly cause: PauseCause;
    readonly reason: string;
    readonly since: string;
  }[];
  /** Workers alive that serve it. */
  readonly workers: number;
  /** Workers that take nothing of it, and why. It is paused only when no worker can send. */
  readonly troubles: readonly {
    readonly worker: string;
    readonly host: string;
    /** `credential` and `topic`: the gateway said so; `worker`: this machine or its way to the gateway. */
    readonly about: 'credential' | 'topic' | 'worker';
    readonly reason: string;
    readonly since: string;
    /** When the gateway is asked again. */
    readonly nextCheckAt: string;
  }[];
  /** Workers that send only probes of it, since the gateway is in trouble. */
  readonly slowed: readonly {
    readonly worker: string;
    readonly host: string;
    readonly cause: 'answers' | 'timeouts' | 'resets';
    readonly since: string;
  }[];
  /** As the sweepers have it loaded; null: none has said so, or it does not expire. */
  readonly credentialExpiresAt: string | null;
};

export type AppDetail = App & {
  /** Push jobs by lane and by where they stand. */
  readonly queue: {
    readonly transactional: {
      readonly wait: number;
      readonly active: number;
      readonly delayed: number;
    };
    readonly bulk: {
      readonly wait: number;
      readonly active: number;
      readonly delayed: number;
    };
  };
  readonly quota: Quota;
  readonly deadLetters: number;
  /** Notifications since the app first sent, by lane. */
  readonly totals: {
    readonly transactional: Totals;
    readonly bulk: Totals;
  };
};

/** Whom to send to; all conditions must hold. */
export type Audience = {
  /** Every active device of the app. */
  readonly all?: true;
  readonly tags?: TagExpression;
  readonly locales?: readonly string[];
  readonly timeZones?: readonly string[];
  /** Devices of the users of an uploaded list. */
  readonly upload?: string;
};

export type AudienceCount = {
  readonly devices: number;
};

/** Whom to send to; all conditions must hold. */
export type AudienceInput = {
  /** Every active device of the app. */
  readonly all?: true;
  readonly tags?: TagExpressionInput;
  readonly locales?: readonly string[];
  readonly timeZones?: readonly string[];
  /** Devices of the users of an uploaded list. */
  readonly upload?: string;
};

export type AuditEntry = {
  readonly id: string;
  readonly at: string;
  readonly actor: {
    /** `key`, `cli`, or `anyone` where keys are off. */
    readonly kind: string;
    /** Id of the key, or `user@host`. */
    readonly id: string | null;
    /** Name of the key. */
    readonly name: string | null;
  };
  /** IP address that it came from. */
  readonly address: string | null;
  readonly requestId: string | null;
  /** Such as `app.pause`. */
  readonly action: string;
  readonly app: string | null;
  /** Id of what was changed. */
  readonly target: string | null;
  readonly before: { readonly [name: string]: unknown } | null;
  readonly after: { readonly [name: string]: unknown } | null;
  /** `begun`, `done`, `failed`; `begun`: whether it was done is not known. */
  readonly result: string;
};

export type AuditPage = {
  readonly entries: readonly AuditEntry[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type Batch = {
  readonly batchId: string;
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly lane: Lane;
  /** Notifications in it: the sum of all counts below. Of a send to users that is scheduled, until it goes out, as many as were asked for: each user is one. */
  readonly size: number;
  readonly state: 'queued' | 'finished';
  readonly enqueuedAt?: string;
  /** Of a send to users that is scheduled, until it goes out. */
  readonly sendAt?: string;
  /** When it was asked to cancel what is queued of it. A worker ends it as `cancelled` when its time comes. */
  readonly cancelRequestedAt?: string;
  /** Why a scheduled send to users could not go out; all of it is `rejected`. */
  readonly error?: string;
  /** Of a scheduled send: users who had no device when it went out. */
  readonly usersWithoutDevices?: readonly string[];
  /** Without an outcome so far. */
  readonly queued: number;
  readonly accepted: number;
  /** Of `accepted`: proved by the gateway’s word, or presumed from its silence. */
  readonly certainty: {
    readonly proved: number;
    readonly presumed: number;
  };
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
};

export type Broadcast = {
  readonly broadcastId: string;
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly lane: Lane;
  /** What is shown: title and body, shortened. Absent where nothing is, or it is translated on the device. */
  readonly says?: string;
  /** Whom it is for, as it was asked for. */
  readonly audience?: Audience;
  /** `running`: the fan-out goes on, or waits for `startAt`. `delivering`: every device of the audience has been enqueued, and some have no outcome. `finished`: all have one. After `cancelled` and `failed` nothing more is enqueued; what is `queued` still gets its outcome. */
  readonly state: 'running' | 'paused' | 'delivering' | 'finished' | 'cancelling' | 'cancelled' | 'failed';
  /** Of `failed`. */
  readonly error?: string;
  readonly createdAt: string;
  readonly startAt: string;
  readonly startedAt?: string;
  /** Since then nothing more is enqueued. */
  readonly fanOutEndedAt?: string;
  /** When the last device got its outcome, after the end of the fan-out. */
  readonly finishedAt?: string;
  /** How much of the device table the fan-out has gone through, about. */
  readonly fanOutProgress: number;
  /** How much of it is done, about: 1 when every device has its outcome. */
  readonly progress: number;
  /** Devices that have been enqueued: the sum of all counts below. */
  readonly enqueued: number;
  /** Enqueued, and without an outcome so far. */
  readonly queued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
  readonly replayed?: true;
};

export type BroadcastException = Exception & {
  /** Batch in which `index` counts. */
  readonly batchId: string;
};

export type BroadcastExceptionPage = {
  readonly exceptions: readonly BroadcastException[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type BroadcastPage = {
  readonly broadcasts: readonly Broadcast[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type BroadcastRequest = NotificationContent & {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly lane?: Lane;
  readonly audience: AudienceInput;
  /** When the fan-out begins; at most 30 days ahead. */
  readonly sendAt?: number | string;
  /** Seconds over which the fan-out is spread. Otherwise it goes as fast as it can. */
  readonly spreadOver?: number;
  /** Count the devices, and send nothing. */
  readonly dryRun?: boolean;
};

export type Cancellation = {
  readonly id: string;
  /** Notifications that had no outcome when it was asked for. */
  readonly queued: number;
  /** When it was asked to cancel what is queued of it. A worker ends it as `cancelled` when its time comes. */
  readonly cancelRequestedAt: string;
  /** An earlier request asked for the same, at `cancelRequestedAt`. */
  readonly alreadyRequested?: true;
};

export type DeadLetter =
  | {
      readonly id: string;
      /** Id of the app, as in pushfleet.yaml. */
      readonly app: string;
      readonly at: string;
      /** What it takes in Redis, without what Redis needs beside it. */
      readonly bytes: number;
      readonly kind: 'dead';
      readonly lane: Lane;
      readonly batchId: string;
      /** Notifications that ended as dead. */
      readonly count: number;
      /** How many of each reason; the most frequent ones. */
      readonly reasons: { readonly [name: string]: number };
      /** How many of reasons that are not named. */
      readonly others?: number;
    }
  | {
      readonly id: string;
      /** Id of the app, as in pushfleet.yaml. */
      readonly app: string;
      readonly at: string;
      /** What it takes in Redis, without what Redis needs beside it. */
      readonly bytes: number;
      readonly kind: 'poisoned';
      readonly error: string;
    };

export type DeadLetterDetail = {
  readonly summary: DeadLetter;
  readonly notifications?: readonly {
    readonly notificationId: string;
    readonly index: number;
    readonly token: string;
    readonly reason: string;
    /** Binary status byte or HTTP status. */
    readonly status?: number;
    /** When it ended. */
    readonly at?: string;
  }[];
  /** Of `poisoned`: the data as they were found. */
  readonly raw?: string;
};

export type DeadLetterDiscard = {
  /** Exactly; `poisoned` for push jobs that could not be read. */
  readonly reason?: string;
  readonly lane?: Lane;
  /** Letters at or after this time. */
  readonly since?: number | string;
  /** Letters at or before this time. */
  readonly until?: number | string;
  /** Notifications that this request takes at most; a letter is not taken apart to discard it. */
  readonly limit?: number;
  /** `next` of the answer before. */
  readonly cursor?: string;
};

export type DeadLetterDiscardAnswer = {
  /** Discarded by this request. */
  readonly notifications: number;
  /** That are gone. */
  readonly letters: number;
  /** Letters that hold others, which stay. */
  readonly parts: number;
  /** The cursor to go on with; null: this was all. */
  readonly next: string | null;
};

export type DeadLetterPage = {
  readonly letters: readonly DeadLetter[];
  /** Letters of the app. */
  readonly total: number;
  /** Of all letters of the app. */
  readonly bytes: number;
  /** Notifications in all letters of the app by reason; an unreadable push job counts as one. */
  readonly reasons: { readonly [name: string]: number };
  /** What the retention has taken since the app first sent: letters for their `age`, letters for room (`bytes`), and the notifications in them. */
  readonly trimmed: {
    readonly age: number;
    readonly bytes: number;
    readonly notifications: number;
  };
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type DeadLetterReplay = DeadLetterDiscard & {
  /** Seconds that APNs may store those whose own time has passed. A day by default. */
  readonly ttl?: number;
};

export type DeadLetterReplayAnswer = {
  /** Enqueued again by this request. */
  readonly notifications: number;
  readonly letters: readonly {
    readonly id: string;
    readonly batchId: string;
    readonly notifications: number;
  }[];
  /** Letters that the queue does not take any more; they stay. */
  readonly refused: readonly {
    readonly id: string;
    readonly detail: string;
  }[];
  /** The cursor to go on with; null: this was all. */
  readonly next: string | null;
};

export type Device = {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly token: string;
  readonly userId: string | null;
  readonly tags: readonly string[];
  readonly locale: string | null;
  readonly timeZone: string | null;
  readonly registeredAt: string;
  readonly createdAt: string;
  readonly active: boolean;
  readonly deactivation: {
    readonly at: string;
    readonly source: 'feedback' | 'unregistered' | 'invalid-token';
    readonly status: number | null;
    /** What the last registration was older than. */
    readonly evidenceAt: string;
  } | null;
};

export type DeviceImport = {
  readonly imported: number;
  readonly created: number;
  readonly reactivated: number;
  readonly moved: number;
  /** Lines that were passed over. */
  readonly errorCount: number;
  /** The first 1,000. */
  readonly errors: readonly {
    readonly line: number;
    readonly field: string;
    readonly message: string;
  }[];
};

export type DevicePage = {
  readonly devices: readonly Device[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type DeviceRegistered = {
  readonly token: string;
  readonly created: boolean;
  readonly reactivated: boolean;
  /** It belonged to another user before. */
  readonly moved: boolean;
  /** The previous token was known, and is gone. */
  readonly replaced: boolean;
};

export type DeviceRegistration = {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly userId?: string | null;
  readonly tags?: readonly string[];
  readonly locale?: string | null;
  readonly timeZone?: string | null;
  /** The token that this one replaces: what is known of it is taken over, and it is removed. */
  readonly previousToken?: string;
};

export type EventKind =
  | 'batch.finished'
  | 'notifications.rejected'
  | 'devices.deactivated'
  | 'app.paused'
  | 'app.resumed'
  | 'credential.expiring';

export type Exception = {
  /** In the batch. */
  readonly index: number;
  readonly notificationId: string;
  readonly token: string;
  readonly outcome: 'rejected' | 'expired' | 'cancelled' | 'dead';
  readonly reason: string;
  readonly gatewayStatus?: number;
  readonly at: string;
};

export type ExceptionPage = {
  readonly exceptions: readonly Exception[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: number | null;
};

export type FoundExceptionPage = {
  readonly exceptions: readonly BroadcastException[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type Lane = 'transactional' | 'bulk';

export type LocalizedText = {
  readonly locKey: string;
  readonly locArgs?: readonly string[];
};

export type Notification = {
  readonly notificationId: string;
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly lane: Lane;
  /** An outcome, or `queued`, or `settling`: a worker has finished with it, and the outcome is on its way. */
  readonly state: 'queued' | 'settling' | 'accepted' | 'rejected' | 'expired' | 'cancelled' | 'dead';
  /** Of `accepted`. */
  readonly certainty?: 'proved' | 'presumed';
  /** Of an outcome that is not `accepted`. */
  readonly reason?: string;
  readonly gatewayStatus?: number;
  readonly enqueuedAt?: string;
  readonly sendAt?: string;
  /** When it was asked to cancel what is queued of it. A worker ends it as `cancelled` when its time comes. */
  readonly cancelRequestedAt?: string;
  readonly settledAt?: string;
  /** Of `dead`: the dead letter that holds it, as long as there is one. */
  readonly deadLetter?: {
    readonly id: string;
    /** Path of the request that sends it again: `POST` it. */
    readonly replay: string;
  };
  /** Of `dead`: the batch that its dead letter was sent again as. Known for a day. */
  readonly replayedAs?: string;
};

/** What a notification says, and how it is sent. */
export type NotificationContent = {
  readonly alert?: string | AlertParts;
  /** 0 removes the badge. */
  readonly badge?: number;
  readonly sound?: string | SoundParts;
  readonly threadId?: string;
  readonly category?: string;
  readonly contentAvailable?: boolean;
  readonly mutableContent?: boolean;
  readonly targetContentId?: string;
  readonly interruptionLevel?: 'passive' | 'active' | 'time-sensitive' | 'critical';
  readonly relevanceScore?: number;
  readonly filterCriteria?: string;
  readonly urlArgs?: readonly string[];
  readonly contentChanged?: boolean;
  /** Of a Live Activity; `start` needs `attributesType`, `attributes` and `alert`. */
  readonly event?: 'start' | 'update' | 'end';
  /** Epoch seconds. */
  readonly timestamp?: number;
  readonly contentState?: { readonly [name: string]: unknown };
  readonly staleDate?: number;
  readonly dismissalDate?: number;
  readonly attributesType?: string;
  readonly attributes?: { readonly [name: string]: unknown };
  readonly inputPushToken?: boolean;
  readonly inputPushChannel?: string;
  /** The app’s own keys, which lie beside `aps`. */
  readonly custom?: { readonly [name: string]: unknown };
  /** The whole payload in Apple’s names, instead of the content fields. */
  readonly payload?: { readonly [name: string]: unknown };
  /** Shorten the alert’s body when the payload is over the limit. Otherwise it is refused. */
  readonly truncate?: boolean;
  /** Seconds that APNs may store it for; 0: try once. A day by default; 0 for `voip` and `pushtotalk`. */
  readonly ttl?: number;
  /** Instead of `ttl`. */
  readonly expiresAt?: number | string;
  /** 10 at once, 5 as the battery allows, 1 least (HTTP/2 only). */
  readonly priority?: 10 | 5 | 1;
  readonly pushType?: PushType;
  /** Later notifications of the same id replace it on the device. HTTP/2 only. */
  readonly collapseId?: string;
};

export type PauseCause = 'operator' | 'credential' | 'topic' | 'invalid-tokens';

/** RFC 9457; `code` is stable. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code:
    | 'invalid-json'
    | 'invalid-request'
    | 'invalid-notification'
    | 'unauthorized'
    | 'forbidden'
    | 'foreign-request'
    | 'no-route'
    | 'method-not-allowed'
    | 'request-timeout'
    | 'unknown-app'
    | 'unknown-batch'
    | 'unknown-notification'
    | 'unknown-device'
    | 'unknown-broadcast'
    | 'unknown-upload'
    | 'unknown-webhook'
    | 'unknown-dead-letter'
    | 'webhook-inactive'
    | 'already-settled'
    | 'not-replayable'
    | 'no-devices'
    | 'idempotency-conflict'
    | 'body-too-large'
    | 'unsupported-media-type'
    | 'request-too-large'
    | 'rate-limited'
    | 'quota-exceeded'
    | 'internal'
    | 'backpressure'
    | 'redis-unavailable'
    | 'redis-timeout'
    | 'database-unavailable'
    | 'keys-unavailable'
    | 'stopping';
  readonly detail: string;
  readonly requestId: string;
  readonly errors?: readonly {
    readonly field: string;
    readonly message: string;
  }[];
  /** It may have been stored nevertheless: repeat the request only with the same idempotency key. */
  readonly maybeStored?: boolean;
  /** Of `quota-exceeded`: the limit by its name in the configuration, what the app has of it, and what the request would have added. More than `max` never fits: make smaller requests. */
  readonly quota?: {
    readonly limit: 'maxNotifications' | 'maxBytes' | 'maxScheduledNotifications' | 'maxScheduledBytes';
    readonly max: number;
    readonly used: number;
    readonly asked: number;
  };
};

/** As the content says by default. One that is newer than those listed is taken together with `payload`. Apps on the binary protocol take `alert`, `background` and `mdm`. */
export type PushType =
  | 'alert'
  | 'background'
  | 'voip'
  | 'complication'
  | 'fileprovider'
  | 'location'
  | 'liveactivity'
  | 'widgets'
  | 'controls'
  | 'pushtotalk'
  | 'mdm'
  | string;

/** What it has in its queues, and what it may have at most. */
export type Quota = {
  readonly queued: {
    readonly notifications: {
      readonly used: number;
      readonly limit: number;
    };
    readonly bytes: {
      readonly used: number;
      readonly limit: number;
    };
  };
  readonly scheduled: {
    readonly notifications: {
      readonly used: number;
      readonly limit: number;
    };
    readonly bytes: {
      readonly used: number;
      readonly limit: number;
    };
  };
};

export type SendAnswer = {
  /** For one device it is the notification’s own id. */
  readonly batchId: string;
  /** In the order of the request; of a user, one for each device. Empty where a send to users is scheduled: their devices are found when it goes out. */
  readonly notificationIds: readonly string[];
  /** An earlier request with this idempotency key was answered with this; nothing is sent again. */
  readonly replayed?: true;
  /** Users of the request to whom nothing can be sent. */
  readonly usersWithoutDevices?: readonly string[];
};

/** Many notifications. What one has itself goes before the defaults, field by field. */
export type SendMany = {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  /** `transactional` by default. */
  readonly lane?: Lane;
  /** Not before this time; at most 30 days ahead. */
  readonly sendAt?: number | string;
  /** Instead of the header `Idempotency-Key`. */
  readonly idempotencyKey?: string;
  /** What a notification leaves open. */
  readonly defaults?: NotificationContent;
  readonly notifications: readonly (NotificationContent & {
    /** Device token: hex or base64 of 32 to 512 bytes; of an app on the binary protocol at most 100. */
    readonly token?: string;
    /** Instead of `token`: all devices of this user. */
    readonly userId?: string;
  })[];
};

/** One notification, to one device or to all devices of one user. */
export type SendOne = NotificationContent & {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  /** `transactional` by default. */
  readonly lane?: Lane;
  /** Not before this time; at most 30 days ahead. */
  readonly sendAt?: number | string;
  /** Instead of the header `Idempotency-Key`. */
  readonly idempotencyKey?: string;
  /** Device token: hex or base64 of 32 to 512 bytes; of an app on the binary protocol at most 100. */
  readonly token?: string;
  /** Instead of `token`: all devices of this user. */
  readonly userId?: string;
};

export type SoundParts = {
  readonly name: string;
  readonly critical?: boolean;
  readonly volume?: number;
};

/** A tag, or `and`, `or`, `not` of expressions. */
export type TagExpression =
  | string
  | {
      readonly and: readonly TagExpression[];
    }
  | {
      readonly or: readonly TagExpression[];
    }
  | {
      readonly not: TagExpression;
    };

/** A tag, or `and`, `or`, `not` of expressions. */
export type TagExpressionInput =
  | string
  | {
      readonly and: readonly TagExpressionInput[];
    }
  | {
      readonly or: readonly TagExpressionInput[];
    }
  | {
      readonly not: TagExpressionInput;
    };

export type Totals = {
  /** The sum of all counts below. */
  readonly enqueued: number;
  /** Without an outcome so far. */
  readonly queued: number;
  readonly accepted: number;
  /** Of `accepted`: proved by the gateway’s word, or presumed from its silence. */
  readonly certainty: {
    readonly proved: number;
    readonly presumed: number;
  };
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
};

export type Upload = {
  readonly uploadId: string;
  readonly users: number;
};

export type Webhook = {
  readonly webhookId: string;
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly url: string;
  readonly kinds: readonly EventKind[];
  /** False: the far end has answered 410. */
  readonly active: boolean;
  readonly createdAt: string;
  /** Told once, when it is made: signatures are those of Standard Webhooks 1.0. */
  readonly secret?: string;
};

export type WebhookDelivery = {
  readonly deliveryId: string;
  readonly kind: string;
  readonly state: 'pending' | 'delivered' | 'failed';
  readonly attempts: number;
  readonly occurredAt: string;
  readonly nextAttemptAt?: string;
  readonly settledAt?: string;
  /** What the far end last answered. */
  readonly status?: number;
  readonly error?: string;
};

export type WebhookDeliveryPage = {
  readonly deliveries: readonly WebhookDelivery[];
  /** Give it as `after`; null: that was the last page. */
  readonly next: string | null;
};

export type WebhookRequest = {
  /** Id of the app, as in pushfleet.yaml. */
  readonly app: string;
  readonly url: string;
  /** All by default. */
  readonly kinds?: readonly EventKind[];
};

export type WebhookResend = {
  /** Those of them that failed; all that failed by default. */
  readonly deliveryIds?: readonly string[];
};

export type WebhookResent = {
  readonly resent: number;
  /** The first 1,000 of them. */
  readonly deliveryIds: readonly string[];
};

export type WebhookTest = {
  /** As in the log of deliveries. */
  readonly deliveryId: string;
};

/** Each operation: what it takes, and what it answers. */
export interface Operations {
  'POST /v1/notifications': {
    readonly path: undefined;
    readonly query: undefined;
    readonly body: SendOne | SendMany;
    readonly answer: SendAnswer;
  };
  'PUT /v1/devices/{token}': {
    readonly path: { readonly token: string };
    readonly query: undefined;
    readonly body: DeviceRegistration;
    readonly answer: DeviceRegistered;
  };
  'GET /v1/devices/{token}': {
    readonly path: { readonly token: string };
    readonly query: { readonly app: string };
    readonly body: undefined;
    readonly answer: Device;
  };
  'DELETE /v1/devices/{token}': {
    readonly path: { readonly token: string };
    readonly query: { readonly app: string };
    readonly body: undefined;
    readonly answer: undefined;
  };
  'GET /v1/devices': {
    readonly path: undefined;
    readonly query: {
      readonly app: string;
      readonly userId: string;
      readonly after?: string;
      readonly limit?: number;
    };
    readonly body: undefined;
    readonly answer: DevicePage;
  };
  'POST /v1/devices/import': {
    readonly path: undefined;
    readonly query: { readonly app: string };
    readonly body: undefined;
    readonly answer: DeviceImport;
  };
  'POST /v1/uploads': {
    readonly path: undefined;
    readonly query: { readonly app: string };
    readonly body: undefined;
    readonly answer: Upload;
  };
  'GET /v1/batches/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Batch;
  };
  'DELETE /v1/batches/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Cancellation;
  };
  'GET /v1/notifications/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Notification;
  };
  'DELETE /v1/notifications/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Cancellation;
  };
  'GET /v1/batches/{id}/exceptions': {
    readonly path: { readonly id: string };
    readonly query: {
      readonly after?: number;
      readonly limit?: number;
      readonly format?: 'json' | 'csv' | 'ndjson';
    };
    readonly body: undefined;
    readonly answer: ExceptionPage;
  };
  'GET /v1/broadcasts/{id}/exceptions': {
    readonly path: { readonly id: string };
    readonly query: {
      readonly after?: string;
      readonly limit?: number;
      readonly format?: 'json' | 'csv' | 'ndjson';
    };
    readonly body: undefined;
    readonly answer: BroadcastExceptionPage;
  };
  'GET /v1/exceptions': {
    readonly path: undefined;
    readonly query: {
      readonly app: string;
      readonly token?: string;
      readonly userId?: string;
      readonly after?: string;
      readonly limit?: number;
      readonly format?: 'json' | 'csv' | 'ndjson';
    };
    readonly body: undefined;
    readonly answer: FoundExceptionPage;
  };
  'POST /v1/broadcasts': {
    readonly path: undefined;
    readonly query: undefined;
    readonly body: BroadcastRequest;
    readonly answer: AudienceCount | Broadcast;
  };
  'GET /v1/broadcasts': {
    readonly path: undefined;
    readonly query: {
      readonly app: string;
      readonly limit?: number;
      readonly after?: string;
      readonly before?: string;
    };
    readonly body: undefined;
    readonly answer: BroadcastPage;
  };
  'GET /v1/broadcasts/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Broadcast;
  };
  'DELETE /v1/broadcasts/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Broadcast;
  };
  'GET /v1/broadcasts/{id}/events': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: string;
  };
  'POST /v1/broadcasts/{id}/pause': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Broadcast;
  };
  'POST /v1/broadcasts/{id}/resume': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Broadcast;
  };
  'GET /v1/apps': {
    readonly path: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: {
      readonly apps: readonly App[];
    };
  };
  'GET /v1/apps/{app}': {
    readonly path: { readonly app: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: AppDetail;
  };
  'POST /v1/apps/{app}/pause': {
    readonly path: { readonly app: string };
    readonly query: undefined;
    readonly body: {
      readonly reason?: string;
    };
    readonly answer: App;
  };
  'POST /v1/apps/{app}/resume': {
    readonly path: { readonly app: string };
    readonly query: undefined;
    readonly body: {
      /** Which pauses to lift. By default `operator` and `invalid-tokens`, which nothing else lifts. */
      readonly causes?: readonly PauseCause[];
    };
    readonly answer: App;
  };
  'GET /v1/apps/{app}/dead-letters': {
    readonly path: { readonly app: string };
    readonly query: { readonly after?: string; readonly cursor?: string; readonly limit?: number };
    readonly body: undefined;
    readonly answer: DeadLetterPage;
  };
  'GET /v1/apps/{app}/dead-letters/{id}': {
    readonly path: { readonly app: string; readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: DeadLetterDetail;
  };
  'DELETE /v1/apps/{app}/dead-letters/{id}': {
    readonly path: { readonly app: string; readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  'POST /v1/apps/{app}/dead-letters/{id}/replay': {
    readonly path: { readonly app: string; readonly id: string };
    readonly query: undefined;
    readonly body: {
      /** Seconds that APNs may store those whose own time has passed. A day by default. */
      readonly ttl?: number;
    };
    readonly answer: SendAnswer;
  };
  'POST /v1/apps/{app}/dead-letters/replay': {
    readonly path: { readonly app: string };
    readonly query: undefined;
    readonly body: DeadLetterReplay;
    readonly answer: DeadLetterReplayAnswer;
  };
  'POST /v1/apps/{app}/dead-letters/discard': {
    readonly path: { readonly app: string };
    readonly query: undefined;
    readonly body: DeadLetterDiscard;
    readonly answer: DeadLetterDiscardAnswer;
  };
  'POST /v1/webhooks': {
    readonly path: undefined;
    readonly query: undefined;
    readonly body: WebhookRequest;
    readonly answer: Webhook;
  };
  'GET /v1/webhooks': {
    readonly path: undefined;
    readonly query: { readonly app: string; readonly after?: string; readonly limit?: number };
    readonly body: undefined;
    readonly answer: {
      readonly webhooks: readonly Webhook[];
      /** Give it as `after`; null: that was the last page. */
      readonly next: string | null;
    };
  };
  'DELETE /v1/webhooks/{id}': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  'GET /v1/webhooks/{id}/deliveries': {
    readonly path: { readonly id: string };
    readonly query: { readonly after?: string; readonly before?: string; readonly limit?: number };
    readonly body: undefined;
    readonly answer: WebhookDeliveryPage;
  };
  'POST /v1/webhooks/{id}/test': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: WebhookTest;
  };
  'POST /v1/webhooks/{id}/resend': {
    readonly path: { readonly id: string };
    readonly query: undefined;
    readonly body: WebhookResend;
    readonly answer: WebhookResent;
  };
  'GET /v1/audit': {
    readonly path: undefined;
    readonly query: {
      readonly app?: string;
      readonly actor?: string;
      readonly action?:
        | 'key.create'
        | 'key.rotate'
        | 'key.revoke'
        | 'device.remove'
        | 'devices.import'
        | 'upload.create'
        | 'channel.create'
        | 'channel.delete'
        | 'webhook.create'
        | 'webhook.delete'
        | 'webhook.resend'
        | 'webhook.test'
        | 'app.pause'
        | 'app.resume'
        | 'batch.cancel'
        | 'notification.cancel'
        | 'broadcast.create'
        | 'broadcast.pause'
        | 'broadcast.resume'
        | 'broadcast.cancel'
        | 'dead-letters.replay'
        | 'dead-letters.discard';
      readonly target?: string;
      readonly since?: string;
      readonly until?: string;
      readonly after?: string;
      readonly before?: string;
      readonly limit?: number;
    };
    readonly body: undefined;
    readonly answer: AuditPage;
  };
}
