import type { WatchedCredential } from '@pushfleet/apns-credentials';
import type { Gauge } from 'prom-client';

/** Sets when the credential of an app expires, epoch seconds; 0 for a provider key, nothing while there is none. */
export function setExpiry(gauge: Gauge, app: string, watched: WatchedCredential): void {
  try {
    const credential = watched.current();
    const expiresAtMs = credential.kind === 'certificate' ? credential.certificate.notAfter.getTime() : 0;
    gauge.set({ app }, expiresAtMs / 1_000);
  } catch {
    // The metric of what keeps the app from being sent for says so.
    gauge.remove({ app });
  }
}
