import { advanceIdentifier } from '@pushfleet/apns-wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InFlightWindow } from '../src/binary/in-flight-window.ts';
import { TrackedRun } from '../src/transport/tracked-run.ts';
import { RecordedRun } from './recorded-run.ts';

// The window against a model that keeps every frame as an object of its own.

interface Frame {
  readonly run: TrackedRun;
  readonly position: number;
  readonly identifier: number;
}

interface Model {
  /** In flight, oldest first. */
  frames: Frame[];
  /** Identifiers of frames that were in flight once, oldest first. */
  settled: number[];
  next: number;
}

const trackedRun = (count: number) => new TrackedRun(new RecordedRun({ count }), { inFlight: 0 });
const last = 0xffff_ffff;

/** Positions one by one, as ranges were taken. */
function collect(taken: Frame[], frames: readonly Frame[]) {
  return (run: TrackedRun, from: number, to: number): void => {
    for (let position = from; position < to; position++) {
      taken.push({ run, position, identifier: frames[taken.length]!.identifier });
    }
  };
}

function expectSame(model: Model, window: InFlightWindow): void {
  expect(window.size).toBe(model.frames.length);
  expect(window.nextIdentifier).toBe(model.next);
}

type Command = fc.Command<Model, InFlightWindow>;

class Add implements Command {
  readonly count: number;
  readonly from: number;
  constructor(count: number, from: number) {
    this.count = count;
    this.from = from;
  }
  check = () => true;
  run(model: Model, window: InFlightWindow): void {
    const run = trackedRun(this.from + this.count);
    expect(window.add(run, this.from, this.from + this.count)).toBe(model.next);
    for (let index = 0; index < this.count; index++) {
      model.frames.push({ run, position: this.from + index, identifier: model.next });
      model.next = model.next === last ? 1 : model.next + 1;
    }
    expectSame(model, window);
  }
  toString = () => `add(${this.count})`;
}

/** An error response names a frame in flight: all before it, then the frame itself. */
class Name implements Command {
  readonly place: number;
  constructor(place: number) {
    this.place = place;
  }
  check = (model: Readonly<Model>) => model.frames.length > 0;
  run(model: Model, window: InFlightWindow): void {
    const at = this.place % model.frames.length;
    const named = model.frames[at]!;
    expect(window.locate(named.identifier)).toBe('in-flight');
    const taken: Frame[] = [];
    window.takeBefore(named.identifier, collect(taken, model.frames));
    expect(taken).toEqual(model.frames.slice(0, at));
    const { run, from, to } = window.takeOldest();
    expect([run, from, to]).toEqual([named.run, named.position, named.position + 1]);
    model.settled.push(...model.frames.splice(0, at + 1).map(({ identifier }) => identifier));
    expectSame(model, window);
  }
  toString = () => `name(${this.place})`;
}

class Locate implements Command {
  readonly place: number;
  constructor(place: number) {
    this.place = place;
  }
  check = () => true;
  run(model: Model, window: InFlightWindow): void {
    expect(window.locate(0)).toBe('unknown');
    expect(window.locate(model.next)).toBe('unknown');
    expect(window.locate(advanceIdentifier(model.next, this.place))).toBe('unknown');
    const before = advanceIdentifier(model.settled[0] ?? model.frames[0]?.identifier ?? model.next, -1);
    expect(window.locate(before)).toBe('unknown');
    if (model.settled.length > 0) {
      const at = this.place % model.settled.length;
      expect(window.locate(model.settled[at]!)).toBe('settled');
      expect(window.settledAfter(model.settled[at]!)).toBe(model.settled.length - at - 1);
    }
  }
  toString = () => `locate(${this.place})`;
}

class TakeAll implements Command {
  check = () => true;
  run(model: Model, window: InFlightWindow): void {
    const taken: Frame[] = [];
    for (const { run, from, to } of window.takeAll()) collect(taken, model.frames)(run, from, to);
    expect(taken).toEqual(model.frames);
    model.settled.push(...model.frames.splice(0).map(({ identifier }) => identifier));
    expectSame(model, window);
  }
  toString = () => 'takeAll';
}

describe('the in-flight window', () => {
  test('does what a list of frames does, also where identifiers wrap', () => {
    const place = fc.nat(100);
    const commands = fc.commands(
      [
        fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(5)).map(([count, from]) => new Add(count, from)),
        place.map((at) => new Name(at)),
        place.map((at) => new Locate(at)),
        fc.constant(new TakeAll()),
      ],
      { size: '+1' },
    );
    const start = fc.constantFrom(1, 2, last - 40, last - 3, last);
    fc.assert(
      fc.property(start, commands, (first, steps) => {
        const setup = () => ({
          model: { frames: [], settled: [], next: first },
          real: new InFlightWindow(first),
        });
        fc.modelRun(setup, steps);
      }),
      { numRuns: 1_000 },
    );
  });

  test('gives a frame that is nobody’s the next identifier', () => {
    const window = new InFlightWindow(last);
    expect(window.skip()).toBe(last);
    expect(window.nextIdentifier).toBe(1);
    expect(window.add(trackedRun(3), 0, 3)).toBe(1);
    expect(window.locate(2)).toBe('in-flight');
  });

  test('costs a small object per stretch that is written together, whatever its length', () => {
    const window = new InFlightWindow();
    const run = trackedRun(60_000);
    window.add(run, 0, 60_000);
    let calls = 0;
    window.takeBefore(30_001, () => {
      calls += 1;
    });
    expect([window.size, calls]).toEqual([30_000, 1]);
    expect(window.takeAll()).toEqual([{ run, from: 30_000, to: 60_000 }]);
  });
});
