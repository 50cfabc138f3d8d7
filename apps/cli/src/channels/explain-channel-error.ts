import type { ChannelError } from '@pushfleet/apns-client';
import { CliError } from '../cli-error.ts';
import { explainReason } from '../credentials/check/explain-reason.ts';

/** What the gateway's reasons say about a channel, and what to do. */
const explanations: Readonly<Record<string, string>> = {
  CannotCreateChannelConfig: 'an app may have 10,000 channels in each environment: delete some',
  ChannelNotRegistered:
    'the app has no such channel in this environment: channels list shows those that it has',
  FeatureNotEnabled:
    "the app is not allowed to broadcast: switch it on in the developer portal, at the app's id",
  TopicMismatch: "the credential is not for this app's topic",
};

/** Says what to do about a call that failed. */
export function explainChannelError(error: ChannelError): CliError {
  const { code, reason = '', message } = error;
  const advice =
    code === 'unreachable' || code === 'timeout'
      ? 'whether it was done is not known: channels list tells'
      : (explanations[reason] ?? explainReason(reason));
  const text = advice === undefined ? message : `${message}: ${advice}`;
  return new CliError(`channel-${code}`, text, { cause: error });
}
