/** What the HTTP/2 gateway's reasons (`docs/protocol/http2.md#answers`) say about a credential, and what to do. */
const explanations: Readonly<Record<string, string>> = {
  BadCertificate:
    'the gateway does not take this certificate: it is revoked, expired or none of its authority',
  BadCertificateEnvironment:
    'the certificate is for the other environment: production and sandbox have hosts of their own',
  BadEnvironmentKeyIdInToken: 'the provider key is for the other environment',
  BadTopic: "the topic cannot be one: it is the app's bundle id",
  DeviceTokenNotForTopic: 'the topic is not one of this credential',
  ExpiredProviderToken: 'the clock of this machine is wrong: the token was signed this moment',
  Forbidden: 'the gateway does not allow it: ask its operator',
  InvalidProviderToken:
    'the gateway does not know the key: check --key-id and --team-id, that the file is the key of that id, and that it is ' +
    'not revoked; or the clock of this machine is ahead',
  MissingProviderToken:
    'the gateway wants a provider token, and was shown a certificate that it does not look at',
  MissingTopic: 'name the topic',
  TooManyProviderTokenUpdates:
    'the key was used with another token less than 20 minutes ago: a running fleet has one; try again later',
  TopicDisallowed: 'the credential is not for this topic: see credentials inspect',
  UnrelatedKeyIdInToken: 'the gateway wants one key per connection',
};

export function explainReason(reason: string): string | undefined {
  return explanations[reason];
}
