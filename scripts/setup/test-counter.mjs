import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';

/**
 * Adds up what vitest says at the end of each workspace: `Tests  2 failed | 31 passed (33)`, and keeps the names of the
 * tests that failed: `FAIL  test/sending.test.ts > a test`.
 */
export class TestCounter {
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #decoder = new StringDecoder('utf8');
  #rest = '';
  /** @type {Set<string>} */
  #failed = new Set();

  /** @param {Buffer} chunk */
  read(chunk) {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = stripVTControlCharacters(raw);
      const failure = /^(?:(\S+):test: )?\s*FAIL {2}(.+?)\s*$/.exec(line);
      if (failure !== null) this.#failed.add([failure[1], failure[2]].filter(Boolean).join(' '));
      const found = /\bTests {2}(.*)\(\d+\)\s*$/.exec(line);
      if (found === null) continue;
      for (const [, count, outcome] of (found[1] ?? '').matchAll(/(\d+) (passed|failed|skipped)/g)) {
        this.#counts[/** @type {'passed' | 'failed' | 'skipped'} */ (outcome)] += Number(count);
      }
    }
  }

  /** The tests that failed, each with its workspace and file. */
  get failed() {
    return [...this.#failed];
  }

  /** `Tests: 412 passed, 0 failed` */
  get summary() {
    const { passed, failed, skipped } = this.#counts;
    return `Tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }
}
