import { Problem } from '../http/problem.ts';
import type { BroadcastAnswer } from '../schemas/broadcast-schemas.ts';

/** Event streams that one key may have open at one producer. */
const maxStreams = 1_000;
/** Between readings of a broadcast, milliseconds. */
const readingMs = 500;
/** Of all broadcasts that are followed one is read in so many milliseconds. */
const spacingMs = 20;

/** A reading, with its text made once for all who are told. */
export interface ProgressReading {
  readonly answer: BroadcastAnswer;
  readonly text: string;
}

export interface Following {
  /** The progress as it was half a second ago at most, or longer when very many broadcasts are followed. */
  read(): Promise<ProgressReading>;
  /** Once. */
  end(): void;
}

interface Followed {
  followers: number;
  reading?: Promise<ProgressReading>;
  readAtMs: number;
}

/** Progress of broadcasts, read once for all at this producer who follow the same one. */
export class ProgressReadings {
  readonly #followed = new Map<string, Followed>();
  readonly #streams = new Map<string, number>();
  readonly #readAnswer: (broadcast: string) => Promise<BroadcastAnswer>;

  constructor(readAnswer: (broadcast: string) => Promise<BroadcastAnswer>) {
    this.#readAnswer = readAnswer;
  }

  /** @param caller Whose stream it is: the id of a key. @throws Problem `rate-limited` when it has too many */
  follow(broadcast: string, caller: string): Following {
    const streams = this.#streams.get(caller) ?? 0;
    if (streams >= maxStreams) {
      throw new Problem('rate-limited', `the key has ${maxStreams} event streams open here`, {
        retryAfterSeconds: 10,
      });
    }
    this.#streams.set(caller, streams + 1);
    const followed = this.#followed.get(broadcast) ?? { followers: 0, readAtMs: 0 };
    followed.followers += 1;
    this.#followed.set(broadcast, followed);
    return {
      read: () => this.#read(broadcast, followed),
      end: () => {
        followed.followers -= 1;
        if (followed.followers === 0) this.#followed.delete(broadcast);
        const left = (this.#streams.get(caller) ?? 1) - 1;
        if (left === 0) this.#streams.delete(caller);
        else this.#streams.set(caller, left);
      },
    };
  }

  #read(broadcast: string, followed: Followed): Promise<ProgressReading> {
    const nowMs = performance.now();
    const maxAgeMs = Math.max(readingMs, spacingMs * this.#followed.size);
    if (followed.reading === undefined || nowMs - followed.readAtMs >= maxAgeMs) {
      followed.readAtMs = nowMs;
      followed.reading = this.#readAnswer(broadcast).then((answer) => ({
        answer,
        text: JSON.stringify(answer),
      }));
    }
    return followed.reading;
  }
}
