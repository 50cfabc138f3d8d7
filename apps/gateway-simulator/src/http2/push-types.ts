/** What a push type adds to the bundle id to make its topic (`docs/protocol/http2.md#push-types`). */
const topicSuffixes = {
  alert: '',
  background: '',
  mdm: '',
  voip: '.voip',
  complication: '.complication',
  fileprovider: '.pushkit.fileprovider',
  location: '.location-query',
  liveactivity: '.push-type.liveactivity',
  widgets: '.push-type.widgets',
  controls: '.push-type.controls',
  pushtotalk: '.voip-ptt',
} as const;

export type PushType = keyof typeof topicSuffixes;

export function isPushType(text: string): text is PushType {
  return Object.hasOwn(topicSuffixes, text);
}

/** Whether the topic is one that the push type may be sent to. */
export function fitsTopic(pushType: PushType, topic: string): boolean {
  const suffix = topicSuffixes[pushType];
  return suffix === '' ? bundleIdOf(topic) === topic : topic.endsWith(suffix);
}

const suffixes = Object.values(topicSuffixes).filter((suffix) => suffix !== '');

/** The app that a topic belongs to, as the ledger counts it. */
export function bundleIdOf(topic: string): string {
  const suffix = suffixes.find((candidate) => topic.endsWith(candidate));
  return suffix === undefined ? topic : topic.slice(0, -suffix.length);
}
