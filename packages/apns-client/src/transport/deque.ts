/** A list that is taken from at its front. Taking costs the same however long it is. */
export class Deque<Item> {
  #items: Item[] = [];
  #head = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Puts items before all others, keeping their order. */
  unshift(items: readonly Item[]): void {
    this.#items = [...items, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  front(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Puts another item in the place of the first; there must be one. */
  replaceFront(item: Item): void {
    this.#items[this.#head] = item;
  }

  /** Takes the first item out; there must be one. */
  removeFront(): void {
    this.#head++;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  takeAll(): Item[] {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
