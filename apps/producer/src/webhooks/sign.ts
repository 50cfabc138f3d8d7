import { createHmac } from 'node:crypto';

// Signatures of the Standard Webhooks specification 1.0, for which there are libraries in most languages: the id, the
// time and the body are signed together, so that a delivery can neither be changed nor sent again later by others.

/** What the owner of a webhook is shown once. */
export function secretText(secret: Buffer): string {
  return `whsec_${secret.toString('base64')}`;
}

export interface SignedMessage {
  /** The same at every attempt. */
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: string;
}

export function signatureHeaders(message: SignedMessage, secret: Buffer): Record<string, string> {
  const { id, timestampSeconds, body } = message;
  const signature = createHmac('sha256', secret).update(`${id}.${timestampSeconds}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': `v1,${signature}`,
  };
}
