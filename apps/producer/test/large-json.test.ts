import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson, parseJsonChunks } from '../src/http/parse-json.ts';
import { Problem } from '../src/http/problem.ts';

// A large body is parsed piece by piece. Whatever it is, that must not show.

type Verdict = { readonly value: unknown } | { readonly refused: string };

function verdictOf(error: unknown): Verdict {
  if (error instanceof Problem) return { refused: `${error.code} ${error.message}` };
  throw error;
}

function whole(text: string): Verdict {
  try {
    return { value: parseJson(text, 'the body') };
  } catch (error) {
    return verdictOf(error);
  }
}

async function inPieces(text: string, pieceBytes = 50_000): Promise<Verdict> {
  const bytes = Buffer.from(text);
  const chunks: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += pieceBytes)
    chunks.push(bytes.subarray(from, from + pieceBytes));
  return parseJsonChunks(chunks).then((value) => ({ value }), verdictOf);
}

const many = (value: string, count: number) => `${`${value},`.repeat(count - 1)}${value}`;
const wide = (count: number, first = 0) =>
  Array.from({ length: count }, (_, place) => `"field${first + place}":${place}`).join();

test.each<[name: string, text: string]>([
  ['a list of many items', `{"app":"a","list":[${many('{"text":"x","n":[1,{}]}', 10_000)}],"after":[]}`],
  ['a list of texts in which brackets stand', `{"list":[${many(String.raw`"]},[\"{\\"`, 30_000)}]}`],
  ['lists beside each other', `{"a":[${many('1', 90_000)}],"b":[${many('2.5', 50_000)}],"c":[[],[3]]}`],
  ['very many fields', `{${wide(20_000)}}`],
  [
    'very many fields around a list',
    `{${wide(9_000)},"list":[${many('true', 50_000)}],${wide(9_000, 9_000)}}`,
  ],
  ['spaces everywhere', ` \n{ "a" : [ ${many(' { } ', 40_000)} ] \t, "b" : [ ] } \n`],
  ['spaces without end', `{"a":1,${' '.repeat(500_000)}"b":[1,${' '.repeat(500_000)}2]}`],
  ['characters of four bytes', `{"list":[${many('"💥é"', 50_000)}]}`],
  ['a byte order mark', `\ufeff{"list":[${many('"x"', 50_000)}]}`],
  ['names that are escaped', String.raw`{"li\u0073t":[${many('"x"', 50_000)}],"b\"":1}`],
  ['a list that is empty, and much beside it', `{"list":[],${wide(20_000)}}`],
  ['a comma too many in a list', `{"list":[${many('1', 90_000)},]}`],
  ['a comma too few', `{"list":[${many('1', 90_000)} 1]}`],
  ['two commas in a list', `{"list":[1,,${many('1', 90_000)}]}`],
  ['a comma before a list', `{"list":[,${many('1', 90_000)}]}`],
  ['a comma too many behind the fields', `{"list":[${many('1', 90_000)}],}`],
  ['a comma before the fields', `{,${wide(20_000)}}`],
  ['a list that ends as an object does', `{"list":[${many('1', 90_000)}}}`],
  ['an object that ends as a list does', `{"list":[${many('1', 90_000)}]]`],
  ['a list that does not end', `{"list":[${many('1', 90_000)}`],
  ['fields that do not end', `{${wide(20_000)}`],
  ['more than one value', `{"list":[${many('1', 90_000)}]}{"a":1,"b":2}`],
  ['a value without a name', `{"list":[${many('1', 90_000)}],[1,2,3]}`],
  ['a name twice, far from each other', `{"list":[${many('1', 90_000)}],"b":1,"list":[]}`],
  ['a name twice in an item', `{"list":[${many('{"a":1}', 40_000)},{"a":1,"a":2}]}`],
  ['digits that would be lost', `{"list":[${many('{"a":1}', 40_000)},{"a":[1.00000000000000000001]}]}`],
  ['an item that is nested too deep', `{"list":[${many('{}', 50_000)},${'['.repeat(200)}]}`],
  ['an item that is too long', `{"list":[1,{"a":[${many('1', 200_000)}]}]}`],
  ['a field that is too long', `{"custom":{"a":[${many('1', 200_000)}]}}`],
  ['a text that is too long', `{"alert":"${'x'.repeat(200_000)}"}`],
  ['a name that is too long', `{"a":{"${'x'.repeat(200_000)}":1}}`],
  ['a number that is too long', `{"list":[${many('1', 70_000)},0.${'0'.repeat(5_000)}1]}`],
  ['very many values', `{"list":[${many('1', 1_100_000)}]}`],
  ['__proto__', `{"list":[${many('1', 90_000)}],"__proto__":{"a":1}}`],
  ['no JSON at all', 'x'.repeat(200_000)],
  ['a text', `"${'x'.repeat(60_000)}"${' '.repeat(100_000)}`],
])('%s: the same as in one piece', async (_name, text) => {
  const expected = whole(text);
  expect(await inPieces(text)).toEqual(expected);
});

test('a body that is a list is refused', async () => {
  expect(await inPieces(`[${many('1', 90_000)}]`)).toEqual({
    refused: 'invalid-request body: must be an object',
  });
});

test('bytes that are no UTF-8 are refused wherever they stand, and a character may come in two pieces', async () => {
  const text = Buffer.from(`{"list":[${many('"x"', 50_000)}]}`);
  for (const at of [0, 65_535, 65_536, 131_071, text.length - 1]) {
    const broken = Buffer.from(text);
    broken[at] = 0xff;
    await expect(parseJsonChunks([broken])).rejects.toThrow('the body is not UTF-8');
  }
  await expect(parseJsonChunks([text, Buffer.from([0xf0, 0x9f])])).rejects.toThrow('not UTF-8');
  for (let shift = 0; shift < 4; shift++) {
    const shifted = `{"list":["${'x'.repeat(shift)}",${many('"💥"', 40_000)}]}`;
    expect(await inPieces(shifted, 1_000)).toEqual(whole(shifted));
  }
});

test('whatever is made of a body, it is read as in one piece', { timeout: 120_000 }, async () => {
  const fillers = {
    objects: `"list":[${many('{"a":"b"}', 15_000)}]`,
    texts: `"list":[${many('"]"', 40_000)}]`,
    fields: wide(10_000),
  };
  const filler = fc.constantFrom(...(Object.keys(fillers) as (keyof typeof fillers)[]));
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.integer({ min: 0, max: 3 }),
    add: fc.constantFrom('', ',', '[', ']', '{', '}', '"', ':', ' ', '\\', '1', 'é', '"a":1,', '[1],'),
  });
  const property = fc.asyncProperty(
    filler,
    fc.jsonValue(),
    fc.array(edit, { maxLength: 2 }),
    async (large, value, edits) => {
      let text = `{"first":${JSON.stringify(value)},${fillers[large]},"last":${JSON.stringify(value)}}`;
      for (const { at, remove, add } of edits) {
        const place = Math.floor(at * text.length);
        text = text.slice(0, place) + add + text.slice(place + remove);
      }
      const expected = whole(text);
      const found = await inPieces(text);
      // Of several faults the first is named; in one piece those of the text come before those of JSON.
      if ('refused' in expected) expect(found).toHaveProperty('refused');
      else expect(found).toEqual(expected);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});
