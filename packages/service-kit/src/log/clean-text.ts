// What libraries say may quote what they were given: passwords in URLs, arguments of commands, values of columns. What
// looks like a secret, or stands where one stands, is cut out of every text that is logged.

const cut = '[redacted]';

/** Longest text in a log line, characters. */
const maxTextLength = 4_000;

const names = '[\\w-]*(?:password|passphrase|passwd|secret|tokens?|signature|payloads?|api-?key)';

const shapes: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, cut],
  // The name and password of a URL, also where the password holds what it should not.
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s"'<>]*@/gi, `$1${cut}@`],
  // The path of a URL may be what opens it, as with webhooks; its query too.
  [/\b(https?:\/\/[^\s"'<>/?#]+[/?#])[^\s"'<>]+/gi, `$1${cut}`],
  [/\b(bearer|basic|vapid)\s+[\w.+/=~-]{6,}/gi, `$1 ${cut}`],
  [/\b(authorization["']?\s*[:=]\s*)[^\r\n]+/gi, `$1${cut}`],
  [new RegExp(`(${names}["']?=)("[^"]*"|'[^']*'|[^\\s,;&)}\\]]+)`, 'gi'), `$1${cut}`],
  [new RegExp(`(${names}["']?\\s*:\\s*)("[^"]*"|'[^']*')`, 'gi'), `$1${cut}`],
  // JSON Web Tokens, keys of the API, secrets of webhooks.
  [/\beyJ[\w-]*\.[\w-]*\.?[\w-]*/g, cut],
  [/\bpf_[0-9a-f]{16}_[\w-]+/g, cut],
  [/\bwhsec_[\w+/=-]+/g, cut],
  // Redis quotes what it does not know; JSON.parse the text; Postgres the value.
  [/(with args beginning with:)[\s\S]*/gi, `$1 ${cut}`],
  [/Unexpected (?:token|end|string|number|identifier)[\s\S]*? is not valid JSON/g, 'is not valid JSON'],
  [/"[\s\S]*" is not valid JSON/g, 'is not valid JSON'],
  [/\b(invalid (?:input syntax|input value|byte sequence)[^:]*:)[\s\S]*/gi, `$1 ${cut}`],
  [/\b(Key \([^)]*\))=\([\s\S]*\)/g, `$1=(${cut})`],
  [/\b(value|timestamp|date|time|time zone|interval|number|uuid|octet) "[^"]*"/gi, `$1 ${cut}`],
  // Device tokens and hashes.
  [/(?:\\x)?[0-9a-f]{32,}/gi, cut],
];

/** Base64 of some length, unless it is a path. */
const base64 = /(?<![\w/.-])[A-Za-z0-9+/_-]{40,}={0,2}/g;

/** A text without what looks like a secret, of bounded length, and without what a terminal takes for a command. */
export function cleanText(text: string): string {
  let clean = text.length > 4 * maxTextLength ? text.slice(0, 4 * maxTextLength) : text;
  for (const [shape, replacement] of shapes) clean = clean.replace(shape, replacement);
  clean = clean.replace(base64, (run) => (isMixed(run) && !isPath(run) ? cut : run));
  return clean.length > maxTextLength ? `${clean.slice(0, maxTextLength)}…` : clean;
}

function isMixed(run: string): boolean {
  return /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run);
}

function isPath(run: string): boolean {
  return /^\/[^+]*\//.test(run);
}
