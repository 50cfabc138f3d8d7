import { readFileSync } from 'node:fs';

// The runbook at the admin port, so that an alert's link opens wherever the fleet runs. Text as it is written, with
// headings that can be linked to; no Markdown is rendered.

const file = new URL('../../../docs/runbook.md', import.meta.url);

/** The page; undefined: it is not beside this program. */
export function readRunbookPage(): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  return renderRunbook(text);
}

/** HTML whose headings have the anchors that the page has on a forge. */
export function renderRunbook(markdown: string): string {
  const parts = markdown.split(/^(#{1,6} .+)$/m).map((part) => {
    const [, marks, title] = /^(#{1,6}) (.+)$/.exec(part) ?? [];
    if (marks === undefined || title === undefined) return `<pre>${escaped(part.trim())}</pre>`;
    return `<h${marks.length} id="${anchorOf(title)}">${escaped(title)}</h${marks.length}>`;
  });
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Pushfleet runbook</title>
<style>body{max-width:65rem;margin:auto;padding:1rem;font-family:sans-serif}pre{white-space:pre-wrap}:target{background:#fe8}</style>
${parts.filter((part) => part !== '<pre></pre>').join('\n')}
</html>
`;
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
