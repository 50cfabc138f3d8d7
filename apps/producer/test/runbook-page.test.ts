import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readRunbookPage, renderRunbook } from '../src/runbook-page.ts';

test('every alert links to a section of the page that the admin port serves', () => {
  const rules = readFileSync(new URL('../../../ops/prometheus/rules/alerts.yml', import.meta.url), 'utf8');
  const anchors = [...rules.matchAll(/runbook_url: '.*#([\w-]+)'/g)].map(([, anchor]) => anchor!);
  expect(anchors.length).toBeGreaterThan(20);
  const page = readRunbookPage()!;
  expect(anchors.filter((anchor) => !page.includes(` id="${anchor}"`))).toEqual([]);
});

test('text of the page stays text', () => {
  const html = renderRunbook('# A & B\n\nuse `<app>` & "quotes"\n\n## Is it `down`?\n');
  expect(html).toContain('<h1 id="a--b">A &amp; B</h1>');
  expect(html).toContain('<pre>use `&lt;app&gt;` &amp; &quot;quotes&quot;</pre>');
  expect(html).toContain('<h2 id="is-it-down">Is it `down`?</h2>');
});
