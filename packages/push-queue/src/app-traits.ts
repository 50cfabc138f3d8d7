import type { PayloadRoute } from '@pushfleet/apns-wire/payload';
import type { AppQuota } from './quota.ts';

/** What has to be known of an app to check its notifications: the fields of `pushfleet.yaml` by the same names. */
export interface AppTraits extends PayloadRoute {
  /** What the app may have in its queues. */
  readonly queue?: AppQuota | undefined;
}
