import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';

/** Lines that are kept of what is wrong with a test. */
const mostLines = 30;

/**
 * Adds up what vitest says at the end of each workspace: `Tests  2 failed | 31 passed (33)`, and keeps the names of the
 * tests that failed, `FAIL  test/sending.test.ts > a test`, with the first lines of what is wrong with them.
 */
export class TestCounter {
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #decoder = new StringDecoder('utf8');
  #rest = '';
  /** What is said of each test that failed, by its name. @type {Map<string, string[]>} */
  #failed = new Map();
  /** The test that a workspace is speaking of, by the workspace. @type {Map<string, string[]>} */
  #openFailures = new Map();

  /** @param {Buffer} chunk */
  read(chunk) {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = stripVTControlCharacters(raw);
      this.#readFailure(line);
      const found = /\bTests {2}(.*)\(\d+\)\s*$/.exec(line);
      if (found === null) continue;
      for (const [, count, outcome] of (found[1] ?? '').matchAll(/(\d+) (passed|failed|skipped)/g)) {
        this.#counts[/** @type {'passed' | 'failed' | 'skipped'} */ (outcome)] += Number(count);
      }
    }
  }

  /** @param {string} line */
  #readFailure(line) {
    const [, workspace = '', said = ''] = /^(?:(\S+):test: ?)?(.*?)\s*$/.exec(line) ?? [];
    const failure = /^\s*FAIL {2}(.+)$/.exec(said);
    if (failure !== null) {
      const name = [workspace, failure[1]].filter(Boolean).join(' ');
      const lines = this.#failed.get(name) ?? [];
      this.#failed.set(name, lines);
      this.#openFailures.set(workspace, lines);
      return;
    }
    const lines = this.#openFailures.get(workspace);
    if (lines === undefined) return;
    // A place in the source, or the rule below the last line, ends what is said of a test.
    if (/^\s*(?:❯|⎯{3})/.test(said) || lines.length >= mostLines) this.#openFailures.delete(workspace);
    else if (said.trim() !== '') lines.push(said);
  }

  /** The tests that failed, each with its workspace and file, and the first lines of what is wrong. */
  get failed() {
    return [...this.#failed].map(([name, lines]) => ({
      name,
      lines: /** @type {readonly string[]} */ (lines),
    }));
  }

  /** `Tests: 412 passed, 0 failed` */
  get summary() {
    const { passed, failed, skipped } = this.#counts;
    return `Tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }
}
