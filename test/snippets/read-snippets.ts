import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fenced block of a document. */
export interface Snippet {
  /** Relative to the repository. */
  readonly document: string;
  /** Of its fence, from 1. */
  readonly line: number;
  /** What stands behind the fence, such as `sh`; empty where nothing does. */
  readonly language: string;
  readonly text: string;
}

/** What a user of Pushfleet reads; decision records and the changelog tell of the past. */
const patterns = [
  '*.md',
  'docs/*.md',
  'docs/{lifecycles,protocol}/*.md',
  '{apps,packages}/*/README.md',
  '{benchmarks,deploy,examples,ops}/**/*.md',
];

const fence = /^( *)```([\w-]*)\n([\s\S]*?)^ *```$/gm;

function documentsOf(root: string): string[] {
  return globSync(patterns, { cwd: root, exclude: ['**/node_modules/**', '**/test/**'] }).sort();
}

/** Every block of every document, in the documents' order. @param root Of the repository. */
export function readSnippets(root: string): Snippet[] {
  return documentsOf(root).flatMap((document) => {
    const text = readFileSync(join(root, document), 'utf8');
    return [...text.matchAll(fence)].map((match) => {
      const [, indent = '', language = '', block = ''] = match;
      return {
        document,
        line: text.slice(0, match.index).split('\n').length,
        language,
        text: block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      };
    });
  });
}

/** Commands that stand within the text, each once. @param root Of the repository. */
export function readInlineCommands(root: string): string[] {
  const programs =
    /(?<!`)`((?:pushfleet|npm run|docker compose|docker build|kubectl|systemctl) [^`]+)`(?!`)/g;
  // The changelog also names what was there once.
  const documents = documentsOf(root).filter((document) => document !== 'CHANGELOG.md');
  const commands = documents.flatMap((document) => {
    const text = readFileSync(join(root, document), 'utf8').replaceAll(fence, '');
    return [...text.matchAll(programs)].map(([, command = '']) => command.replaceAll(/\s+/g, ' '));
  });
  return [...new Set(commands)].sort();
}

/** The commands of a shell block, each with its continuation lines and here-documents; comments alone are left out. */
export function commandsOf(text: string): string[] {
  const commands: string[] = [];
  let open = '';
  for (const line of text.split('\n')) {
    open += open === '' ? line : `\n${line}`;
    if (isUnfinished(open)) continue;
    if (!/^\s*(#.*)?$/.test(open)) commands.push(open);
    open = '';
  }
  if (open.trim() !== '') commands.push(open);
  return commands;
}

/** Inside of quotes, of a loop, or of a line that goes on. */
function isUnfinished(text: string): boolean {
  if (text.endsWith('\\')) return true;
  const { isQuoted, bare } = withoutQuoted(text);
  const loops = bare.match(/^\s*(for|while)\b/gm)?.length ?? 0;
  const ends = bare.match(/^\s*done\b/gm)?.length ?? 0;
  return isQuoted || loops > ends;
}

/** Shell without what is quoted or commented out, and whether it ends inside of quotes. */
function withoutQuoted(text: string): { readonly isQuoted: boolean; readonly bare: string } {
  let bare = '';
  let quote = '';
  for (let place = 0; place < text.length; place++) {
    const character = text[place]!;
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === "'" || character === '"') quote = character;
    else if (character === '#' && /^$|\s/.test(text[place - 1] ?? '')) {
      const end = text.indexOf('\n', place);
      place = end === -1 ? text.length : end - 1;
    } else bare += character;
  }
  return { isQuoted: quote !== '', bare };
}
