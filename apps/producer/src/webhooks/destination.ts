import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

// Where webhooks may go. Their addresses come from outside, and are asked from inside: without a check somebody could
// have us ask what only we can reach. A name is looked up, all of its addresses are checked, and the connection goes to
// an address that was checked: a name that changes its mind in between gains nothing.

/** A webhook may not go there. The message says why, for its owner. */
export class DestinationError extends Error {
  override readonly name = 'DestinationError';
}

export interface Destination {
  readonly url: URL;
  readonly address: string;
  readonly family: 4 | 6;
}

/** Not of the public internet (IANA, special-purpose address registries). */
const notPublic = new BlockList();
const subnets4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const subnets6 = [
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
for (const [subnets, family] of [
  [subnets4, 'ipv4'],
  [subnets6, 'ipv6'],
] as const) {
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/');
    notPublic.addSubnet(network, Number(prefix), family);
  }
}

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  // BlockList sees through ::ffff:a.b.c.d to the address it stands for.
  return !notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export interface DestinationRules {
  /** Private addresses and plain HTTP, for tests and closed networks. */
  readonly allowPrivate: boolean;
}

/** What can be said of a URL without looking its name up. @throws DestinationError */
export function checkUrl(text: string, { allowPrivate }: DestinationRules): URL {
  if (!URL.canParse(text)) throw new DestinationError('must be a URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) {
    throw new DestinationError('must begin with https://');
  }
  if (url.username !== '' || url.password !== '') throw new DestinationError('must not hold a password');
  if (url.port === '0') throw new DestinationError('must not name port 0');
  if (url.hash !== '') throw new DestinationError('must have no fragment (#…): it is never sent');
  const host = hostOf(url);
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) throw notAllowed();
  return url;
}

/** Looks the name up. @throws DestinationError, and what the look-up throws */
export async function resolveDestination(text: string, rules: DestinationRules): Promise<Destination> {
  const url = checkUrl(text, rules);
  const addresses = await lookup(hostOf(url), { all: true });
  if (!rules.allowPrivate && addresses.some(({ address }) => !isPublicAddress(address))) throw notAllowed();
  const [first] = addresses;
  if (first === undefined) throw new DestinationError('has no address');
  return { url, address: first.address, family: first.family === 6 ? 6 : 4 };
}

function notAllowed(): DestinationError {
  return new DestinationError('names an address that is not of the public internet');
}

function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
