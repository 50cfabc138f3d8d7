import type { CredentialSource } from '@pushfleet/apns-client';
import type { FleetApp } from '@pushfleet/service-kit';

/** An app whose gateway has a feedback service. */
export interface FeedbackApp {
  readonly id: string;
  readonly service: NonNullable<FleetApp['feedback']>;
  readonly credential: Pick<CredentialSource, 'current'>;
}
