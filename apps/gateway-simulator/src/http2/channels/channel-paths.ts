// The paths of requests about broadcast channels, for Live Activities.

const channelsPath = /^\/1\/apps\/([^/]+)\/(channels|all-channels)$/;
const broadcastPath = /^\/4\/broadcasts\/apps\/([^/]+)$/;

/** Which app's channels the request is about, if it is. */
export function channelAppOf(
  path: string,
): { readonly bundleId: string; readonly isList: boolean } | undefined {
  const match = channelsPath.exec(path);
  return match === null ? undefined : { bundleId: match[1]!, isList: match[2] === 'all-channels' };
}

/** Which app's broadcast it is, if it is one. */
export function broadcastAppOf(path: string): string | undefined {
  return broadcastPath.exec(path)?.[1];
}
