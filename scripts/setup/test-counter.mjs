import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';

/** Adds up what vitest says at the end of each workspace: `Tests  2 failed | 31 passed (33)`. */
export class TestCounter {
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #decoder = new StringDecoder('utf8');
  #rest = '';

  /** @param {Buffer} chunk */
  read(chunk) {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const found = /\bTests {2}(.*)\(\d+\)\s*$/.exec(stripVTControlCharacters(line));
      if (found === null) continue;
      for (const [, count, outcome] of (found[1] ?? '').matchAll(/(\d+) (passed|failed|skipped)/g)) {
        this.#counts[/** @type {'passed' | 'failed' | 'skipped'} */ (outcome)] += Number(count);
      }
    }
  }

  /** `Tests: 412 passed, 0 failed` */
  get summary() {
    const { passed, failed, skipped } = this.#counts;
    return `Tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }
}
