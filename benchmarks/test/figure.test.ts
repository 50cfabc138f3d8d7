import { describe, expect, test } from 'vitest';
import { createFigure, median } from '../src/figure.ts';
import { drawFigures } from '../src/plot.ts';
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

test('a picture shows every figure, its text escaped', () => {
  const figure = createFigure({
    section: 's',
    name: 'a < b',
    figure: 5,
    unit: 'u',
    against: { name: 'c', figure: 10 },
  });
  const picture = drawFigures('s', [figure]);
  expect(picture).toContain('a &lt; b');
  expect(picture).toContain('× 0.5');
});

test.each(sections)('section $name can be loaded', async ({ load }) => {
  expect(typeof (await load()).run).toBe('function');
});
