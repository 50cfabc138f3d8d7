import { JsonDefectError, JsonScanner } from './json-scanner.ts';

// A large body is parsed piece by piece: a single JSON.parse of 20 MB keeps the process from everything else for longer
// than a send may take. It is cut at the commas between its fields, and between the items of a list that is a field.
// What is cut out is parsed in the brackets that it stood in. If each part is JSON, and the whole without the items is,
// then the whole is.

export class LargeJson {
  readonly #scanner = new JsonScanner();
  readonly #value: Record<string, unknown> = {};
  /** Lists that fields of `kept` have instead of an empty one. */
  readonly #lists = new Map<string, unknown[]>();
  /** The list whose items are being cut out: what there is of it, and where in `kept` the next ones are. */
  #open: { readonly items: unknown[]; readonly at: number } | undefined;
  /** To be shown to the scanner again. */
  #pending = '';
  /** What has not been parsed. It ends where the text that has come ends. */
  #kept = '';
  /** Characters that came before the end of `kept` and are not in it. */
  #gone = 0;

  /** Takes the next piece. @throws SyntaxError, JsonDefectError */
  add(text: string): void {
    this.#look(text, false);
  }

  /** What it was. @throws SyntaxError, JsonDefectError */
  end(): unknown {
    this.#look('', true);
    // A single value, or a single field.
    if (this.#scanner.cuts.fieldStart === undefined && this.#lists.size === 0) return JSON.parse(this.#kept);
    this.#takeFields(this.#kept);
    return this.#value;
  }

  #look(text: string, isLast: boolean): void {
    const part = this.#pending + text;
    this.#pending = part.slice(this.#scanner.look(part, isLast));
    this.#kept += text;
    if (this.#scanner.cuts.isList) {
      throw new JsonDefectError({ kind: 'field', field: 'body', message: 'must be an object' });
    }
    this.#closeList();
    this.#cutFields();
    this.#cutItems();
  }

  #closeList(): void {
    const { listEnd } = this.#scanner.cuts;
    if (this.#open === undefined || listEnd === undefined) return;
    this.#moveItems(this.#open.items, this.#open.at, listEnd - this.#gone);
    this.#open = undefined;
  }

  #cutFields(): void {
    const { fieldStart } = this.#scanner.cuts;
    if (this.#open !== undefined || fieldStart === undefined) return;
    const end = fieldStart - this.#gone;
    // The comma before is still there: a field has ended since.
    if (end <= 1) return;
    this.#takeFields(`${this.#kept.slice(0, end - 1)}}`);
    this.#kept = `{${this.#kept.slice(end)}`;
    this.#gone += end - 1;
  }

  #cutItems(): void {
    const { list } = this.#scanner.cuts;
    if (list === undefined || list.itemStart === list.start) return;
    const at = this.#open?.at ?? list.start - this.#gone;
    const end = list.itemStart - this.#gone;
    if (end === at) return;
    if (this.#open === undefined) {
      this.#open = { items: [], at };
      this.#lists.set(list.name, this.#open.items);
    }
    this.#moveItems(this.#open.items, at, end - 1);
    this.#remove(at, at + 1);
  }

  /** One item at least: there is a comma before or behind. */
  #moveItems(items: unknown[], from: number, to: number): void {
    const parsed = JSON.parse(`[${this.#kept.slice(from, to)}]`) as unknown[];
    if (parsed.length === 0) throw new SyntaxError('an item is missing');
    for (const item of parsed) items.push(item);
    this.#remove(from, to);
  }

  #remove(from: number, to: number): void {
    this.#kept = this.#kept.slice(0, from) + this.#kept.slice(to);
    this.#gone += to - from;
  }

  #takeFields(text: string): void {
    const fields = JSON.parse(text) as Record<string, unknown>;
    if (Object.keys(fields).length === 0) throw new SyntaxError('a field is missing');
    for (const [name, items] of this.#lists) fields[name] = items;
    this.#lists.clear();
    Object.assign(this.#value, fields);
  }
}
