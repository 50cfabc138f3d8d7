import type { IncomingHttpHeaders } from 'node:http';

// Who is on this machine may use what needs no key there; a web page that a browser on this machine shows may not. It
// reaches us by a request of another site, or by a name of its own that it makes lead here (DNS rebinding): the browser
// then says where the request comes from (Fetch Metadata, Origin), or for which host it is.

const loopback = /^(127(\.\d{1,3}){3}|localhost|::1|\[::1\])$/;

/** Whether only this machine reaches what listens there. */
export function isLoopback(host: string): boolean {
  return loopback.test(host);
}

/** The hosts that requests may be for. Undefined: any. */
export type OwnHosts = readonly string[] | undefined;

/**
 * What is wrong with a request that a browser sent for somebody else; undefined: nothing.
 * @param hosts Without ports. On a loopback address the names of that are meant too.
 * @param mayBeLinked Whether somebody may be led here by a link of another page, which does not get to see what is here.
 */
export function foreignRequest(
  headers: IncomingHttpHeaders,
  hosts: OwnHosts,
  mayBeLinked = false,
): string | undefined {
  const host = headers.host?.toLowerCase() ?? '';
  if (hosts !== undefined) {
    const name = host.replace(/:\d*$/, '');
    if (!loopback.test(name) && !hosts.includes(name)) return 'it is for another host';
  }
  const site = headers['sec-fetch-site'];
  const isLink = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (mayBeLinked && isLink && headers.origin === undefined) return undefined;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'it comes from another site';
  const { origin } = headers;
  if (origin === undefined) return undefined;
  const isOwn = URL.canParse(origin) && new URL(origin).host === host;
  return isOwn ? undefined : 'it comes from another origin';
}
