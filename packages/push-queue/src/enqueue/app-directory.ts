import { maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { type PayloadCarrier, payloadLimits } from '@pushfleet/apns-wire/payload';
import { PushQueueError } from '../push-queue-error.ts';
import type { AppQuota } from '../quota.ts';

/** What has to be known of an app to check its notifications: the fields of `pushfleet.yaml` by the same names. */
export interface AppTraits {
  readonly transport: 'binary' | 'http2';
  /** Binary only; default 2. */
  readonly commandVersion?: 0 | 1 | 2;
  /** What the app may have in its queues. */
  readonly queue?: AppQuota | undefined;
}

/** Without a directory every app is taken for one on HTTP/2: the worker refuses what its gateway cannot carry. */
const unknownTraits: AppTraits = { transport: 'http2' };

const commandCarriers = ['simple', 'enhanced', 'framed'] as const satisfies readonly PayloadCarrier[];

/** The apps that may be sent to. Absent: any. */
export class AppDirectory {
  readonly #apps: ReadonlyMap<string, AppTraits> | undefined;

  constructor(apps: Readonly<Record<string, AppTraits>> | undefined) {
    this.#apps = apps === undefined ? undefined : new Map(Object.entries(apps));
  }

  /** Undefined: the defaults. */
  quotaOf(app: string): AppQuota | undefined {
    return this.#apps?.get(app)?.queue;
  }

  /** Throws `PushQueueError` `unknown-app`. */
  traitsOf(app: unknown): AppTraits {
    if (typeof app !== 'string' || !appIdPattern.test(app)) {
      throw new PushQueueError('unknown-app', 'app: must be the id of an app', { field: 'app' });
    }
    if (this.#apps === undefined) return unknownTraits;
    const traits = this.#apps.get(app);
    if (traits === undefined) {
      throw new PushQueueError('unknown-app', `app: there is no app ${app}`, { field: 'app' });
    }
    return traits;
  }
}

/** As in `pushfleet.yaml`: an app id is part of Redis keys and metric labels. */
const appIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Most UTF-8 bytes that a payload of this app may have (`docs/protocol/binary.md#payload-limits`). */
export function payloadLimit(traits: AppTraits, pushType: string | undefined): number {
  if (traits.transport === 'binary') return payloadLimits[commandCarriers[traits.commandVersion ?? 2]];
  return pushType === 'voip' ? payloadLimits.http2Voip : payloadLimits.http2;
}

/** Longest device token, by transport: that of the binary protocol, and what is stored at all. */
export const maxTokenBytes = { binary: 100, http2: maxDeviceTokenBytes } as const;
