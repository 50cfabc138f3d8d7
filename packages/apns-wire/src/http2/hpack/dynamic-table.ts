/** What an entry costs besides its text (RFC 7541 section 4.1). */
const entryOverhead = 32;

/**
 * The dynamic table of a decoder (RFC 7541 section 2.3.2): newest first, evicted from its end. A ring, so that an
 * insertion moves nothing.
 */
export class DynamicTable {
  #names: string[] = new Array<string>(16).fill('');
  #values: string[] = new Array<string>(16).fill('');
  /** Where the next entry goes. */
  #head = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  /** As RFC 7541 section 4.1 counts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Name of the entry that is `back` insertions old, from 0; there must be one. */
  nameAt(back: number): string {
    return this.#names[(this.#head - 1 - back) & (this.#names.length - 1)]!;
  }

  valueAt(back: number): string {
    return this.#values[(this.#head - 1 - back) & (this.#values.length - 1)]!;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** An entry larger than the whole table empties it, and that is no error (section 4.4). */
  add(name: string, value: string): void {
    const bytes = name.length + value.length + entryOverhead;
    this.#evictTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    if (this.#count === this.#names.length) this.#grow();
    this.#names[this.#head] = name;
    this.#values[this.#head] = value;
    this.#head = (this.#head + 1) & (this.#names.length - 1);
    this.#count++;
    this.#bytes += bytes;
  }

  #evictTo(bytes: number): void {
    while (this.#bytes > bytes && this.#count > 0) {
      const oldest = (this.#head - this.#count) & (this.#names.length - 1);
      this.#bytes -= this.#names[oldest]!.length + this.#values[oldest]!.length + entryOverhead;
      this.#names[oldest] = '';
      this.#values[oldest] = '';
      this.#count--;
    }
  }

  #grow(): void {
    const { length } = this.#names;
    const inOrder = (ring: readonly string[]): string[] => [
      ...ring.slice(this.#head),
      ...ring.slice(0, this.#head),
      ...new Array<string>(length).fill(''),
    ];
    this.#names = inOrder(this.#names);
    this.#values = inOrder(this.#values);
    this.#head = length;
  }
}
