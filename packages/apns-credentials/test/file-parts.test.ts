import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CredentialError } from '../src/errors.ts';
import { readFileParts } from '../src/file-parts.ts';
import { readPkcs12 } from '../src/pkcs12/read-pkcs12.ts';
import { fixture } from './fixture.ts';

function read(name: string): Buffer {
  return readFileSync(fixture(name));
}

/** Whatever the bytes are: a result, or an error that says what is wrong. */
async function expectTyped(attempt: () => unknown): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(CredentialError);
  }
}

test.each([
  ['test-only-rsa-cert.pem', 'certificate'],
  ['test-only-rsa-cert.cer', 'certificate'],
  ['test-only-rc2-40.p12', 'pkcs12'],
  ['test-only-rsa-key.pem', 'private-key'],
  ['test-only-rsa-key-pbes2.der', 'private-key'],
  ['test-only-ec-key-sec1.der', 'private-key'],
  ['test-only-request.pem', 'certificate-request'],
  ['test-only-request.der', 'certificate-request'],
  ['test-only.mobileprovision', 'provisioning-profile'],
  ['test-only-bundle.p7b', 'pkcs7'],
  ['test-only-public-key.pem', 'public-key'],
])('%s is recognised by its content', (name, kind) => {
  expect(readFileParts(read(name)).map((part) => part.kind)).toEqual([kind]);
});

test('any bytes give parts or a typed error', async () => {
  const sequence = fc
    .uint8Array({ maxLength: 64 })
    .map((bytes) => Buffer.from([0x30, bytes.length, ...bytes]));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }).map(Buffer.from), sequence), (bytes) =>
      expectTyped(() => readFileParts(bytes)),
    ),
    { numRuns: 2_000 },
  );
});

test.each([
  'test-only-rsa-cert.cer',
  'test-only-request.der',
  'test-only-ec-key-sec1.der',
  'test-only-rsa-cert.pem',
])('%s with any byte changed gives parts or a typed error', async (name) => {
  const whole = read(name);
  for (let at = 0; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = 255 - bytes[at]!;
    await expectTyped(() => readFileParts(bytes));
    await expectTyped(() => readFileParts(bytes.subarray(0, at)));
  }
});

test('a .p12 with any byte changed gives its content or a typed error', async () => {
  const whole = read('test-only-aes-256.p12');
  const at = fc.nat({ max: whole.length - 1 });
  await fc.assert(
    fc.asyncProperty(at, fc.integer({ min: 1, max: 255 }), async (position, difference) => {
      const bytes = Buffer.from(whole);
      bytes[position]! ^= difference;
      await expectTyped(() => readPkcs12(bytes, 'geheim'));
    }),
    { numRuns: 200 },
  );
});
