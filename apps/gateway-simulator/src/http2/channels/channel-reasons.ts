/** Reasons that only requests about broadcast channels may get, with their status. */
export const channelReasonStatus = {
  BadChannelId: 400,
  BadRequestParams: 400,
  BadRequestPayload: 400,
  CannotCreateChannelConfig: 400,
  ChannelNotRegistered: 400,
  FeatureNotEnabled: 400,
  MissingChannelId: 400,
  MissingPushType: 400,
  TopicMismatch: 403,
} as const;
