import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createFigure, type Figure, median } from '../src/figure.ts';
import { drawFigures } from '../src/plot.ts';
import { withFigure } from '../src/readme-figures.ts';
import { sections } from '../src/sections.ts';

describe('a figure', () => {
  const input = { section: 's', name: 'n', figure: 600, unit: 'u/s' };

  test('holds its bar by the ratio, where there is one', () => {
    const against = { name: 'bare', figure: 1_000 };
    expect(createFigure({ ...input, against, atLeast: 0.5 })).toMatchObject({
      ratio: 0.6,
      bar: 0.5,
      holds: true,
    });
    expect(createFigure({ ...input, against, atLeast: 0.7 })).toMatchObject({ ratio: 0.6, holds: false });
    expect(createFigure({ ...input, against, atMost: 3 })).toMatchObject({ bar: 3, holds: true });
  });

  test('holds its bar by itself, where there is no ratio', () => {
    expect(createFigure({ ...input, atLeast: 601 })).toMatchObject({ ratio: null, holds: false });
    expect(createFigure({ ...input, atMost: 600 })).toMatchObject({ ratio: null, holds: true });
  });

  test('without a bar promises nothing', () => {
    expect(createFigure(input)).toMatchObject({ ratio: null, bar: null, holds: null });
  });
});

test('the median is the value in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 2, 3, 10])).toBe(2.5);
});

describe('a picture', () => {
  const origin = { measuredAt: '2030-01-31T12:00:00.000Z', commit: 'c0ffee', machine: '2 cores' };
  const figureOf = (more: object) =>
    createFigure({ section: 's', name: 'a < b', figure: 5, unit: 'u/s', ...more });
  const bars = (picture: string) =>
    [...picture.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)" height="14"/g)].map(([, width]) =>
      Number(width),
    );

  test('says when, where and of what, its text escaped', () => {
    const picture = drawFigures('s', [figureOf({})], origin);
    expect(picture).toContain('a &lt; b');
    expect(picture).toContain('2030-01-31 · 2 cores · commit c0ffee');
  });

  test('draws both sides of a ratio, and one of ours once', () => {
    const picture = drawFigures(
      's',
      [
        figureOf({ name: 'ours, against c', against: { name: 'c', figure: 10 } }),
        figureOf({ name: 'the same against d', against: { name: 'd', figure: 20 } }),
      ],
      origin,
    );
    const [own, c, d] = bars(picture);
    expect([own! * 2, own! * 4]).toEqual([c, d]);
    expect(picture).toContain('10 · ours is 0.5 × that');
  });

  test('gives each unit an axis of its own', () => {
    const picture = drawFigures(
      's',
      [figureOf({}), figureOf({ name: 'm', figure: 900, unit: 'MiB' })],
      origin,
    );
    expect(bars(picture)).toEqual([720, 720]);
  });

  test('draws a line for each curve, with every value in its legend', () => {
    const picture = drawFigures(
      's',
      [0, 50, 150].flatMap((x) => [
        figureOf({ figure: 1_000 - x, curve: { of: 'ours', x, axis: 'ms' } }),
        figureOf({ figure: 10, curve: { of: 'theirs', x, axis: 'ms', isPeer: true } }),
      ]),
      origin,
    );
    expect(
      [...picture.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) => points!.split(' ').length),
    ).toEqual([3, 3]);
    expect(picture).toContain('ours: 1,000 · 950 · 850');
    expect(bars(picture)).toEqual([]);
  });

  test('keeps its text inside', () => {
    const long = figureOf({
      name: 'x'.repeat(300),
      against: { name: 'y'.repeat(300), figure: 7 },
      atLeast: 2,
    });
    const picture = drawFigures('s', [long], origin);
    const [, width] = /viewBox="0 0 (\d+)/.exec(picture)!;
    const texts = [...picture.matchAll(/<text [^>]*y="(\d+)"[^>]*>([^<]*)<\/text>/g)].slice(2);
    for (const [, all] of Map.groupBy(texts, ([, y]) => y)) {
      // 8 pixels for a character, generously.
      expect(all.reduce((sum, [, , text]) => sum + text!.length * 7, 0)).toBeLessThan(Number(width));
    }
  });
});

test('the figures of the README are those that were measured last', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  const readme = read('../../README.md');
  const shown = [...readme.matchAll(/\| `npm run bench -- --section (\S+)` \|/g)].map(([, name]) => name!);
  expect(shown.length).toBeGreaterThan(2);
  for (const section of shown) {
    const { figures } = JSON.parse(read(`../results/${section}.json`)) as { figures: Figure[] };
    expect(withFigure(readme, section, figures)).toBe(readme);
    // Another figure would be written into it.
    const [first] = figures;
    expect(withFigure(readme, section, [{ ...first!, figure: 12_345 }])).toContain('| 12,345 ');
  }
});

test.each(sections)('section $name can be loaded', async ({ load }) => {
  expect(typeof (await load()).run).toBe('function');
});
