import { describe, expect, test } from 'vitest';
import { ConnectionAllowance } from '../src/index.ts';
import { type ConnectionLoad, connectionsWanted } from '../src/transport/connections-wanted.ts';

/** A backlog that one connection to a gateway 50 ms away cannot carry. */
const far: ConnectionLoad = {
  serving: 1,
  waiting: 3_000,
  waitedMs: 100,
  underWay: 256,
  perConnection: undefined,
  roundTripMs: 50,
  answerMs: 50,
};

describe('how many connections are wanted', () => {
  const rows: readonly [what: string, load: Partial<ConnectionLoad>, wanted: number][] = [
    ['twice as many while answers take the round trip', {}, 2],
    ['twice as many, however many there are', { serving: 8, underWay: 2_048 }, 16],
    ['and up to the most', { serving: 24, underWay: 6_144 }, 32],
    ['no more once answers take twice the round trip', { serving: 16, answerMs: 100 }, 16],
    ['no more, and no fewer, where the gateway is the limit', { serving: 16, answerMs: 400 }, 16],
    ['one where a near gateway is the limit', { roundTripMs: 0.5, answerMs: 4 }, 1],
    [
      'more near by, too, where streams are few',
      { roundTripMs: 1, answerMs: 1, waitedMs: 20, underWay: 1 },
      2,
    ],
    ['as many as there are for a burst', { waitedMs: 74 }, 1],
    ['as many as there are for a burst near by', { roundTripMs: 1, answerMs: 1, waitedMs: 19 }, 1],
    ['no more than what waits would fill', { serving: 8, underWay: 2_048, waiting: 300 }, 10],
    ['as many as there are while nothing is answered', { serving: 4, answerMs: undefined }, 4],
    ['as many as there are while the round trip is not known', { serving: 4, roundTripMs: undefined }, 4],
    ['as many as there are while nothing can be sent', { serving: 4, underWay: 0 }, 4],
    ['answers quicker than the round trip are no reason for more', { roundTripMs: 50, answerMs: 20 }, 2],
    ['one while nothing waits, and none was ever used up', { waiting: 0, underWay: 9_000 }, 1],
    [
      'as many as carry what is under way',
      { waiting: 0, serving: 16, underWay: 1_024, perConnection: 256 },
      5,
    ],
    ['one for nothing', { waiting: 0, serving: 16, underWay: 0, perConnection: 256 }, 1],
  ];
  test.for(rows)('%s', ([, load, wanted]) => {
    expect(connectionsWanted({ ...far, ...load }, { least: 1, most: 32 })).toBe(wanted);
  });

  test('is never less than the least, nor more than the most', () => {
    expect(connectionsWanted({ ...far, waiting: 0, underWay: 0 }, { least: 3, most: 32 })).toBe(3);
    expect(connectionsWanted({ ...far, serving: 9, underWay: 2_304 }, { least: 1, most: 1 })).toBe(1);
  });
});

describe('an allowance', () => {
  test('is shared by those who ask first, and what is given back goes to others', () => {
    const [one, other] = [{}, {}];
    const allowance = new ConnectionAllowance(10);
    expect(allowance.grant(one, 7)).toBe(7);
    expect(allowance.grant(other, 7)).toBe(3);
    expect(allowance.grant(one, 8)).toBe(7);
    expect(allowance.grant(one, 2)).toBe(2);
    expect(allowance.grant(other, 7)).toBe(7);
    expect(allowance.held).toBe(9);
    expect(allowance.grant(other, 0)).toBe(0);
    expect(allowance.held).toBe(2);
  });

  test('within another is bounded by both', () => {
    const fleet = new ConnectionAllowance(10);
    const apps = Array.from({ length: 300 }, () => new ConnectionAllowance(30, fleet));
    const granted = apps.map((app) => app.grant({}, 31));
    expect(granted[0]).toBe(10);
    expect(granted.slice(1).every((each) => each === 0)).toBe(true);
    expect(fleet.held).toBe(10);
    expect(apps[0]!.held).toBe(10);
  });
});
