import { readFile } from 'node:fs/promises';

// Pages of docs/lifecycles, as their tests read them.

export interface Row {
  readonly state: string;
  readonly event: string;
  readonly binary: string;
  readonly http2: string;
}

async function readPage(name: string): Promise<string> {
  return readFile(new URL(`../../../docs/lifecycles/${name}.md`, import.meta.url), 'utf8');
}

/** The rows of a page's table: state, event, binary, HTTP/2, effect. */
export async function readRows(name: string): Promise<Row[]> {
  const lines = (await readPage(name)).split('\n');
  return lines.flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const [, state, event, binary, http2] = cells;
    return cells.length !== 7 || state === 'state' || state!.startsWith('-')
      ? []
      : [{ state: state!, event: event!, binary: binary!, http2: http2! }];
  });
}

/** What each diagram of a page draws, as `state --> next`, sorted; without beginning and end. */
export async function readDiagrams(name: string): Promise<string[][]> {
  const blocks = (await readPage(name)).matchAll(/```mermaid\n([\s\S]*?)```/g);
  return [...blocks].map(([, block]) => {
    const arrows = block!.matchAll(/^ {2}(\S+) --> (\S+?)(?::.*)?$/gm);
    const names = [...arrows].map(([, from, to]) => `${from} --> ${to}`);
    return [...new Set(names.filter((arrow) => !arrow.includes('[*]')))].sort();
  });
}

/** What a table's column says as arrows, sorted: only those that lead to another state. */
export function arrowsOf(
  rows: readonly Row[],
  protocol: 'binary' | 'http2',
  states: readonly string[],
): string[] {
  const arrows = rows.flatMap(({ state, [protocol]: cell }) => {
    const next = cell.split(/[ :]/)[0]!;
    return cell === '—' || next === state || !states.includes(state) ? [] : [`${state} --> ${next}`];
  });
  return [...new Set(arrows)].sort();
}
