import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// What a comment or a page names as its reason is there for the reader: files, headings, decision records.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(ts|mjs|md|ya?ml|sql|json|jsonc)$/.test(file) && existsSync(join(root, file)))
  // Names pages and headings that are not there.
  .filter((file) => file !== 'test/citations.test.ts' && file !== 'ops/test/checks.test.ts');

const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));

/** A heading's anchor, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}

const anchors = new Map<string, ReadonlySet<string>>();
function anchorsOf(page: string): ReadonlySet<string> {
  const known = anchors.get(page);
  if (known !== undefined) return known;
  const found = new Set<string>();
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = anchorOf(heading);
    let unique = anchor;
    for (let count = 1; found.has(unique); count++) unique = `${anchor}-${count}`;
    found.add(unique);
  }
  anchors.set(page, found);
  return found;
}

/** What is wrong with a citation of a page; undefined: nothing. */
function defectOf(page: string, anchor: string | undefined): string | undefined {
  if (!existsSync(join(root, page))) return `${page} does not exist`;
  if (anchor === undefined || anchor === '' || !page.endsWith('.md')) return;
  return anchorsOf(page).has(anchor) ? undefined : `${page} has no heading #${anchor}`;
}

/** Every defect of what a pattern finds, with its file. */
function defects(
  pattern: RegExp,
  check: (match: RegExpExecArray, file: string) => string | undefined,
): string[] {
  const broken: string[] = [];
  for (const [file, text] of texts)
    for (const match of text.matchAll(pattern)) {
      const defect = check(match, file);
      if (defect !== undefined) broken.push(`${file}: ${defect}`);
    }
  return broken;
}

test('every page and heading that is cited from the root of the repository exists', () => {
  let cited = 0;
  const broken = defects(/(?<![\w./-])(docs\/[\w./-]+\.(?:md|json))(?:#([\w-]+))?/g, ([, page, anchor]) => {
    cited++;
    return defectOf(page!, anchor);
  });
  expect(broken).toEqual([]);
  expect(cited).toBeGreaterThan(80);
});

test('every link of a page leads to a file, and to a heading of it', () => {
  let links = 0;
  const broken = defects(/\]\((?!https?:|mailto:)([^)\s#]*)(?:#([\w-]*))?\)/g, ([, path, anchor], file) => {
    if (!file.endsWith('.md')) return;
    links++;
    const page = path === '' ? file : relative(root, normalize(join(root, dirname(file), decodeURI(path!))));
    return defectOf(page, anchor);
  });
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(80);
});

test('every decision that is cited by its number has a record', () => {
  const records = new Set(readdirSync(join(root, 'docs/decisions')).map((file) => file.slice(0, 4)));
  expect(
    defects(/\bdecisions? (\d{4})\b/gi, ([, number]) =>
      records.has(number!) ? undefined : `there is no decision ${number}`,
    ),
  ).toEqual([]);
});

test('no rule is cited from a book that is not in the repository', () => {
  expect(
    defects(/\bPROTOCOL section|\bDESIGN(?:'s| ")/g, ([cited]) => `${cited}: cite docs/protocol`),
  ).toEqual([]);
});

test('the page of pages names every page', () => {
  const pages = files
    .map((file) => relative('docs', file))
    .filter((page) => /^[\w-]+\.md$|^[\w-]+\/README\.md$/.test(page) && page !== 'README.md');
  expect(pages.filter((page) => !texts.get('docs/README.md')!.includes(`](${page})`))).toEqual([]);
  expect(pages).toContain('delivery.md');
});
