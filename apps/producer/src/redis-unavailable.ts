/** Whether a client that reads states could not: commands are refused while the connection is down, or take too long. */
export function isRedisUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.name === 'MaxRetriesPerRequestError' ||
    error.name === 'ClusterAllFailedError' ||
    /^(Stream isn't writeable|Cluster isn't ready|Connection is closed|Command timed out|LOADING |MASTERDOWN |CLUSTERDOWN )/.test(
      error.message,
    )
  );
}
