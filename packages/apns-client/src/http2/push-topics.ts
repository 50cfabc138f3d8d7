/**
 * What a push type adds to the bundle id (`docs/protocol/http2.md#push-types`). For mdm the app's topic is the
 * certificate's UID.
 */
const suffixes: Readonly<Record<string, string>> = {
  voip: '.voip',
  complication: '.complication',
  fileprovider: '.pushkit.fileprovider',
  location: '.location-query',
  liveactivity: '.push-type.liveactivity',
  widgets: '.push-type.widgets',
  controls: '.push-type.controls',
  pushtotalk: '.voip-ptt',
};

/** The `apns-topic` of a push type. One that we do not know goes to the app itself: the gateway has the last word. */
export function topicOf(bundleId: string, pushType: string): string {
  const suffix = suffixes[pushType];
  return suffix === undefined || bundleId.endsWith(suffix) ? bundleId : bundleId + suffix;
}
