import { expect, test } from 'vitest';
import { cleanText } from '../src/log/clean-text.ts';

const token = 'ab12'.repeat(16);
const base64 = 'q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8l9Z0x1C2v3B4';

test.each<[name: string, text: string, clean: string]>([
  ['a password in a URL', 'cannot reach redis://app:s3cr3t@redis:6379/0', 'redis://[redacted]@redis:6379/0'],
  ['a password with what a URL forbids', 'redis+cluster://:pa/ss#wo@rd@host', '://[redacted]@host'],
  [
    'a password in a query',
    'redis+sentinel://h/n?sentinelPassword=s3cr3t&x=1',
    'sentinelPassword=[redacted]&x=1',
  ],
  [
    'the path of a webhook',
    'POST https://hooks.example.com/services/s3cr3t',
    'https://hooks.example.com/[redacted]',
  ],
  [
    'a provider token',
    'refused: bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJUIn0.s3cr3t-_x',
    'refused: bearer [redacted]',
  ],
  ['a token alone', 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJUIn0.s3cr3t', '[redacted]'],
  ['proxy credentials', 'Proxy-Authorization: Basic dTpzM2NyM3Q=', 'Proxy-Authorization: [redacted]'],
  ['a key of the API', `pf_0123456789abcdef_${'s3cr3t'.repeat(7)}x`, '[redacted]'],
  ['a secret of a webhook', 'whsec_czNjcjN0czNjcjN0', '[redacted]'],
  ['a device token', `no device ${token}`, 'no device [redacted]'],
  ['a device token as bytea', `Key (token)=(\\x${token}) already exists.`, 'Key (token)=([redacted]'],
  [
    'arguments that Redis quotes',
    `ERR unknown command 'X', with args beginning with: 's3cr3t' 'b' `,
    'with: [redacted]',
  ],
  [
    'text that JSON.parse quotes',
    `Unexpected token 's', "s3cr3t text"... is not valid JSON`,
    'is not valid JSON',
  ],
  ['a value that Postgres quotes', 'invalid input syntax for type uuid: "s3cr3t"', 'type uuid: [redacted]'],
  ['a field of an object', `{ passphrase: 's3cr3t', app: 'shop' }`, "passphrase: [redacted], app: 'shop'"],
  ['a field of JSON', `{"payload":"s3cr3t","app":"shop"}`, '"payload":[redacted],"app":"shop"'],
  ['base64', `value ${base64} end`, 'value [redacted] end'],
  ['a private key', `-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----`, '[redacted]'],
])('%s is cut out', (_name, text, clean) => {
  expect(cleanText(text)).toContain(clean);
  expect(cleanText(text)).not.toMatch(/s3cr3t|(ab12){16}|q1W2/);
});

test.each([
  'connect ECONNREFUSED 127.0.0.1:6379',
  "ENOENT: no such file or directory, open '/etc/pushfleet/credentials/Shop-Production-2026/AuthKey_ABC123.p8'",
  'notifications[3].token: must be an even number of hexadecimal digits',
  'password authentication failed for user "pushfleet_app"',
  'PUSHFLEET_PORT: must be a port number',
  '01999999-0000-7000-8000-000000000000 is unknown',
  'relation "devices" does not exist',
])('%s stays as it is', (text) => {
  expect(cleanText(text)).toBe(text);
});
