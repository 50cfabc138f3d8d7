import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeviceTokenError, parseDeviceToken } from '../src/device-token.ts';

const token = '740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad';

const base64 = Buffer.from(token, 'hex').toString('base64');

describe('a device token is read', () => {
  test.each([
    ['lower-case hex', token],
    ['upper-case hex', token.toUpperCase()],
    ['hex in mixed case', `740F${token.slice(4)}`],
    ['hex with spaces', '740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad'],
    ['what iOS 12 prints', '<740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad>'],
    ['hex with white space around', `\n  ${token}\t`],
    ['base64', 'dA9HB76890+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK0='],
    ['base64 without padding', 'dA9HB76890+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK0'],
    ['base64url', 'dA9HB76890-bfCXUjjNYlF9qoB2l3bOHRix-r2G7eK0='],
    ['base64url without padding', 'dA9HB76890-bfCXUjjNYlF9qoB2l3bOHRix-r2G7eK0'],
  ])('from %s', (_name, text) => {
    expect(parseDeviceToken(text)).toBe(token);
  });

  test('from any spelling of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 512 }), (array) => {
        const bytes = Buffer.from(array);
        const hex = bytes.toString('hex');
        for (const text of [hex, hex.toUpperCase(), `<${hex.match(/.{1,8}/g)!.join(' ')}>`]) {
          expect(parseDeviceToken(text)).toBe(hex);
        }
        expect(parseDeviceToken(bytes.toString('base64'))).toBe(hex);
        expect(parseDeviceToken(bytes.toString('base64url'))).toBe(hex);
      }),
    );
  });

  test('as hex when it could be base64 too', () => {
    expect(parseDeviceToken('ab'.repeat(32))).toBe('ab'.repeat(32));
    expect(parseDeviceToken('AB'.repeat(32))).toBe('ab'.repeat(32));
  });
});

describe('a text that is no device token is refused with the reason, and is not repeated in the message', () => {
  test.each([
    ['nothing', '', 'device-token-malformed', /is empty/],
    ['only spaces', '  ', 'device-token-malformed', /is empty/],
    ['empty brackets', '<>', 'device-token-too-short', /has 0 bytes/],
    ['a digit missing', token.slice(1), 'device-token-malformed', /63 hex digits, an odd number/],
    ['a byte missing', token.slice(2), 'device-token-too-short', /has 31 bytes, at least 32/],
    ['513 bytes of hex', 'ab'.repeat(513), 'device-token-too-long', /has 513 bytes, at most 512/],
    [
      '513 bytes of base64',
      Buffer.alloc(513, 0xff).toString('base64'),
      'device-token-too-long',
      /has 513 bytes/,
    ],
    [
      '31 bytes of base64',
      Buffer.alloc(31, 0xff).toString('base64'),
      'device-token-too-short',
      /has 31 bytes/,
    ],
    ['two tokens, each on its line', `${token}\n${token}`, 'device-token-malformed', /more than one token/],
    ['two tokens with a space between', `${token} ${token}`, 'device-token-malformed', /more than one token/],
    ['two tokens with a tab between', `${token}\t${token}`, 'device-token-malformed', /more than one token/],
    ['two descriptions', `<${token}> <${token}>`, 'device-token-malformed', /neither/],
    ['two descriptions in one', `<${token} ${token}>`, 'device-token-malformed', /more than one token/],
    [
      'a token over two lines',
      `${token.slice(0, 32)}\r\n${token.slice(32)}`,
      'device-token-malformed',
      /white space/,
    ],
    ['two tokens in base64', `${base64} ${base64}`, 'device-token-malformed', /neither/],
    ['a word', 'zz', 'device-token-malformed', /neither hex nor base64, such as 64 hex digits/],
    ['a token with NUL behind it', `${token}\0`, 'device-token-malformed', /neither/],
    ['a digit that is none', `${token.slice(1)}!`, 'device-token-malformed', /neither hex nor base64/],
    ['an opening bracket alone', `<${token}`, 'device-token-malformed', /neither hex nor base64/],
    [
      'base64 in brackets',
      '<dA9HB76890+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK0=>',
      'device-token-malformed',
      /neither/,
    ],
    [
      'base64 with a space for a plus',
      'dA9HB76890 bfCXUjjNYlF9qoB2l3bOHRix r2G7eK0=',
      'device-token-malformed',
      /neither/,
    ],
    [
      'both alphabets of base64',
      'dA9HB76890+bfCXUjjNYlF9qoB2l3bOHRix-r2G7eK0=',
      'device-token-malformed',
      /neither/,
    ],
    [
      'base64 with a character missing',
      'dA9HB7689+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK0=',
      'device-token-malformed',
      /cut short/,
    ],
    [
      'base64 with stray bits',
      'dA9HB76890+bfCXUjjNYlF9qoB2l3bOHRix+r2G7eK1=',
      'device-token-malformed',
      /stray bits/,
    ],
    [
      'what iOS 13 prints',
      '{length = 32, bytes = 0x740f4707 bebcf74f 9b7c25d4 8e335894 ... 462c7eaf 61bb78ad }',
      'device-token-malformed',
      /description that iOS 13/,
    ],
  ])('%s', (_name, text, code, reason) => {
    const error = caught(() => parseDeviceToken(text));
    expect(error).toBeInstanceOf(DeviceTokenError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(reason) });
    expect((error as Error).message).toMatch(/^device token: /);
    if (text.trim() !== '') expect((error as Error).message).not.toContain(text.trim().slice(0, 12));
  });

  test('any text gives a token or a typed error', () => {
    const characters = fc.constantFrom(...'0123456789abcdefABCDEF<> =+/-_xyz');
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 1_100 }), (text) => {
        try {
          const parsed = parseDeviceToken(text);
          expect(parsed).toMatch(/^([0-9a-f]{2}){32,512}$/);
          expect(parseDeviceToken(parsed)).toBe(parsed);
        } catch (error) {
          expect(error).toBeInstanceOf(DeviceTokenError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
