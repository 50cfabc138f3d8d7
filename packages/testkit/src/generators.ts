// Test data that are the same for the same seed, on every machine.

/** A sequence of numbers in [0, 1). */
export type Random = () => number;

/** The sequence of a seed, by mulberry32: small, quick, and good enough for test data. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A whole number in [0, limit). */
export function randomInt(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export interface TokenOptions {
  readonly count: number;
  readonly seed?: number;
  /** Of each token; 32 by default. */
  readonly bytes?: number;
}

/** Device tokens back to back, `count` times `bytes` long. Two of one call are as good as never the same. */
export function generateTokenBytes({ count, seed = 1, bytes = 32 }: TokenOptions): Uint8Array {
  const random = createRandom(seed);
  const tokens = new Uint8Array(count * bytes);
  for (let at = 0; at < tokens.length; at += 1) tokens[at] = randomInt(random, 256);
  return tokens;
}

/** Device tokens in lower-case hexadecimal. */
export function generateTokens(options: TokenOptions): string[] {
  const bytes = options.bytes ?? 32;
  const all = Buffer.from(generateTokenBytes(options).buffer).toString('hex');
  return Array.from({ length: options.count }, (_, index) =>
    all.slice(index * bytes * 2, (index + 1) * bytes * 2),
  );
}

const words = [
  'order',
  'parcel',
  'price',
  'café',
  'Größe',
  '配達',
  'سلام',
  '🎁',
  '👩‍👩‍👧',
  'today',
  'tomorrow',
];

export interface PayloadOptions {
  readonly seed?: number;
  /** The exact length as JSON in UTF-8; at least 40. A natural length by default, below 200. */
  readonly bytes?: number;
}

/** A payload as JSON text, its alert in several scripts. */
export function generatePayload({ seed = 1, bytes }: PayloadOptions = {}): string {
  const random = createRandom(seed);
  const withBody = (body: string): string => JSON.stringify({ aps: { alert: { body }, badge: 1 } });
  const length = (text: string): number => Buffer.byteLength(withBody(text));
  const goal = bytes ?? 60 + randomInt(random, 100);
  if (goal < length('')) throw new RangeError(`A payload has at least ${length('')} bytes, not ${goal}`);
  let body = '';
  for (;;) {
    const longer = `${body}${words[randomInt(random, words.length)]} `;
    if (length(longer) > goal) break;
    body = longer;
  }
  return withBody(body + '.'.repeat(goal - length(body)));
}
