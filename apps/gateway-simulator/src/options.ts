import { parseArgs } from 'node:util';
import type { GatewayEnvironment } from './tls/client-certificate.ts';

/** A flag is wrong; the message names it. */
export class OptionsError extends Error {
  override readonly name = 'OptionsError';
}

/** Sizes of device tokens that the gateways take, bytes. */
export interface TokenSizes {
  readonly min: number;
  readonly max: number;
}

export interface SimulatorOptions {
  /** Address that all ports listen on. */
  readonly host: string;
  /** Ports; 0: a free one. */
  readonly binaryPort: number;
  readonly feedbackPort: number;
  readonly http2Port: number;
  readonly controlPort: number;
  /** Where the certificates are, or are written; undefined: in a temporary directory. */
  readonly tlsDir: string | undefined;
  /** DNS names of the server certificate, besides localhost. */
  readonly serverNames: readonly string[];
  /** Topic of `client.pem`. */
  readonly topic: string;
  readonly environment: GatewayEnvironment;
  /** Notifications kept one by one. */
  readonly recordLimit: number;
  /** Notifications told from duplicates, over all apps. */
  readonly maxUnique: number;
  /** Device tokens that the gateways take. Apple's are of 32 bytes today, and it promises nothing about tomorrow's. */
  readonly tokenSizes: TokenSizes;
  /** HTTP/2: streams that a connection may have open. */
  readonly maxStreams: number;
  /** HTTP/2: one stream until the first valid provider token, as Apple has it. */
  readonly oneStreamUntilToken: boolean;
  /** HTTP/2: a provider token must not change more often; 0: as often as it likes. Milliseconds. */
  readonly tokenUpdateIntervalMs: number;
}

export const usage = `usage: npm run simulator -- [flags]

  --binary-port P      binary gateway; 0, the default, picks a free port
  --feedback-port P    feedback service
  --http2-port P       HTTP/2 gateway
  --control-port P     control API
  --tls-dir D          certificates: those in D, or new ones written there; default: a temporary directory
  --environment E      certificates accepted: production, sandbox or any (default)
  --topic T            topic of the client certificate; default com.example.shop
  --host H             address to listen on; default 127.0.0.1
  --server-name N      one more DNS name of the server certificate; may be repeated
  --record-limit N     notifications kept for GET /ledger/notifications; default 100000, 0 keeps none
  --max-unique N       notifications told from duplicates; default 20000000, up to 39 bytes each
  --token-bytes N      size of device tokens, or A-B for a range of sizes; default 32, as Apple's are
  --max-streams N      HTTP/2: streams that a connection may have open; default 1000
  --one-stream-until-token
                       HTTP/2: one stream until the first valid provider token, as Apple has it
  --token-update-interval S
                       HTTP/2: seconds before a key's provider token may change again; default 1200, 0 does not care
  --help`;

/** Returns `help`, or the options. @throws OptionsError */
export function parseOptions(args: readonly string[]): SimulatorOptions | 'help' {
  const values = readFlags(args);
  if (values.help === true) return 'help';
  const environment = values.environment;
  if (environment !== 'production' && environment !== 'sandbox' && environment !== 'any') {
    throw new OptionsError(`--environment must be production, sandbox or any, not "${environment}"`);
  }
  return {
    host: values.host,
    binaryPort: parsePort('binary-port', values['binary-port']),
    feedbackPort: parsePort('feedback-port', values['feedback-port']),
    http2Port: parsePort('http2-port', values['http2-port']),
    controlPort: parsePort('control-port', values['control-port']),
    tlsDir: values['tls-dir'],
    serverNames: values['server-name'],
    topic: values.topic,
    environment,
    recordLimit: parseCount('record-limit', values['record-limit'], 10_000_000),
    maxUnique: parseCount('max-unique', values['max-unique'], 1_000_000_000),
    tokenSizes: parseSizes('token-bytes', values['token-bytes']),
    maxStreams: parseCount('max-streams', values['max-streams'], 0x7fff_ffff),
    oneStreamUntilToken: values['one-stream-until-token'],
    tokenUpdateIntervalMs:
      parseCount('token-update-interval', values['token-update-interval'], 86_400) * 1_000,
  };
}

const port = { type: 'string', default: '0' } as const;

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: false,
      options: {
        'binary-port': port,
        'feedback-port': port,
        'http2-port': port,
        'control-port': port,
        'tls-dir': { type: 'string' },
        environment: { type: 'string', default: 'any' },
        topic: { type: 'string', default: 'com.example.shop' },
        host: { type: 'string', default: '127.0.0.1' },
        'server-name': { type: 'string', multiple: true, default: [] },
        'record-limit': { type: 'string', default: '100000' },
        'max-unique': { type: 'string', default: '20000000' },
        'token-bytes': { type: 'string', default: '32' },
        'max-streams': { type: 'string', default: '1000' },
        'one-stream-until-token': { type: 'boolean', default: false },
        'token-update-interval': { type: 'string', default: '1200' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (cause) {
    // Node's own words name the flag; its advice on positionals follows the first sentence.
    const [message = ''] = (cause as Error).message.split('. ');
    throw new OptionsError(message, { cause });
  }
}

/** As much as a token in a path of 1,000 characters can have. */
const mostTokenBytes = 480;

function parseSizes(flag: string, text: string): TokenSizes {
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const [min, max] = [Number(first), Number(last)];
  if (first !== '' && min >= 1 && min <= max && max <= mostTokenBytes) return { min, max };
  throw new OptionsError(
    `--${flag} must be a size from 1 to ${mostTokenBytes}, or two of them as in 32-100, not "${text}"`,
  );
}

function parsePort(flag: string, text: string): number {
  return parseCount(flag, text, 65_535);
}

function parseCount(flag: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) {
    throw new OptionsError(`--${flag} must be a whole number from 0 to ${max}, not "${text}"`);
  }
  return value;
}
