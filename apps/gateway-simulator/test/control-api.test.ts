import { afterAll, describe, expect } from 'vitest';
import { FaultBook } from '../src/faults/fault-book.ts';
import { faultsBodySchema } from '../src/faults/fault-schema.ts';
import { notification, notifications, removeCertificates, test } from './simulator-test.ts';

afterAll(removeCertificates);

describe('a body that is wrong is refused as problem+json that names the field', () => {
  const reject = { kind: 'reject' };
  const wrong: [string, unknown, string, string][] = [
    [
      '/faults',
      { rules: [{ on: 'binary', action: { ...reject, status: 256 } }] },
      'rules[0].action.status',
      '',
    ],
    ['/faults', { rules: [{ on: 'binary', action: { kind: 'explode' } }] }, 'rules[0].action.kind', ''],
    ['/faults', { rules: [{ on: 'smtp', action: reject }] }, 'rules[0].on', ''],
    ['/faults', { rules: [{ on: 'binary' }] }, 'rules[0].action', ''],
    [
      '/faults',
      { rules: [{ on: 'binary', match: { token: 'xyz' }, action: reject }] },
      'rules[0].match.token',
      '',
    ],
    [
      '/faults',
      { rules: [{ on: 'binary', match: { tokn: 'aa' }, action: reject }] },
      'rules[0].match.tokn',
      'not a known field',
    ],
    [
      '/faults',
      { rules: [{ on: 'feedback', match: { after: 1 }, action: { kind: 'close' } }] },
      'rules[0].match.after',
      'not a known field',
    ],
    ['/faults', { rules: [{ on: 'binary', times: 0, action: reject }] }, 'rules[0].times', ''],
    [
      '/faults',
      { rules: [{ on: 'binary', match: { app: 'a' }, action: { kind: 'refuse' } }] },
      'rules[0].match.app',
      'handshake',
    ],
    ['/faults', { rules: [{ on: 'binary', action: { kind: 'closePort' } }] }, 'rules[0].forMs', 'required'],
    [
      '/faults',
      { rules: [{ on: 'http2', action: { kind: 'goaway', lastStreamId: 4 } }] },
      'rules[0].action.lastStreamId',
      'odd',
    ],
    [
      '/faults',
      { rules: [{ on: 'http2', action: { kind: 'respond', reason: 'Shutdown', retryAfter: '1\n2' } }] },
      'rules[0].action.retryAfter',
      'ASCII',
    ],
    ['/faults', { rules: {} }, 'rules', 'array'],
    ['/faults', { rules: [null] }, 'rules[0]', 'object'],
    ['/faults', { rules: [], add: 'yes' }, 'add', 'boolean'],
    ['/faults', { rules: [], adds: true }, 'adds', 'not a known field'],
    ['/faults', null, '', 'object'],
    ['/feedback', 'null', '', ''],
    ['/feedback', { tuples: [], topic: 'a' }, 'topic', 'not a known field'],
    ['/feedback', [{ token: 'aa', time: '1' }], 'tuples[0].time', 'number'],
    ['/reset', { faults: true }, 'faults', 'not a known field'],
    ['/certificates', { name: 'x', topic: 7 }, 'topic', 'string'],
    ['/certificates', { name: 'x', topic: 'a', environments: ['test'] }, 'environments[0]', ''],
    ['/certificates', { name: 'x', topic: 'a\0b' }, 'topic', 'ASCII'],
    ['/provider-keys', { name: 'x', keyId: 'short', teamId: 'ABCDEFGHIJ' }, 'keyId', '10 characters'],
    ['/provider-keys', { name: 'x', keyId: 'ABCDEFGHIJ' }, 'teamId', 'string'],
    ['/ledger/recording', { limit: '5' }, 'limit', 'number'],
    ['/faults', {}, 'rules', ''],
    ['/faults', [], '', ''],
    ['/feedback', [{ token: 'aa' }], 'tuples[0].time', ''],
    ['/feedback', { tuples: [{ token: 'a', time: 1 }] }, 'tuples[0].token', 'hexadecimal'],
    ['/feedback', [{ token: 'aa', time: 1.5 }], 'tuples[0].time', ''],
    ['/feedback', [{ token: 'aa', time: 2 ** 32 }], 'tuples[0].time', ''],
    ['/certificates', { name: '../x', topic: 'a' }, 'name', ''],
    ['/certificates', { name: 'x' }, 'topic', ''],
    ['/ledger/recording', { limit: -1 }, 'limit', ''],
  ];
  test.for(wrong)('%s %j', async ([path, sent, field, words], { simulator }) => {
    const { status, body } = await simulator.post(path, sent);
    expect(status).toBe(400);
    expect(body.detail).toContain(words);
    expect((body.errors as { field: string }[]).map((error) => error.field)).toEqual([field]);
  });

  test('no JSON', async ({ simulator }) => {
    const answer = await fetch(`${simulator.url}/faults`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"rules":' },
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  test('a path that is none', async ({ simulator }) => {
    expect(await simulator.post('/fault', {})).toMatchObject({
      ...{ status: 404, body: { detail: 'there is no POST /fault' } },
    });
  });

  test('a bad rule leaves the rules as they were', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'close' } }]);
    await simulator.post('/faults', { rules: [{ on: 'binary' }] });
    expect(await simulator.get('/faults')).toMatchObject({ rules: [{ action: { kind: 'close' } }] });
  });
});

test('reset empties the ledger, takes faults and tuples away, and numbers connections anew', async ({
  simulator,
}) => {
  await simulator.setFaults([{ on: 'binary', match: { everyNth: 2 }, action: { kind: 'reject' } }]);
  await simulator.control.feedback([{ token: 'aa', time: 1 }]);
  const open = await simulator.connect();
  open.send(...notifications(1, 2));
  await open.ended;
  await simulator.control.reset();
  expect(await simulator.control.ledger()).toEqual({
    ...{ received: 0, unique: 0, duplicates: 0, untracked: 0, rejected: 0, discarded: 0 },
    ...{ recorded: 0, apps: {} },
  });
  expect(await simulator.get('/faults')).toEqual({ rules: [] });
  expect(await simulator.get('/feedback')).toEqual({ waiting: 0 });
  expect(await simulator.get('/connections')).toMatchObject({ binary: { accepted: 0 } });
  const again = await simulator.connect();
  again.send(...notifications(1, 2));
  await again.close();
  expect(await simulator.control.ledger()).toMatchObject({ received: 2, unique: 2 });
});

test('a connection that is open goes on counting after a reset', async ({ simulator }) => {
  const client = await simulator.connect();
  await simulator.control.reset();
  client.send(notification(1));
  await client.close();
  expect(await simulator.control.ledger()).toMatchObject({ received: 1, unique: 1 });
});

describe('keeping notifications', () => {
  test.override({ flags: ['--record-limit', '0'] });

  test('is switched on, up to a limit', async ({ simulator }) => {
    const count = async (): Promise<number> => {
      const told = [];
      for await (const each of simulator.control.notifications()) told.push(each);
      return told.length;
    };
    const client = await simulator.connect();
    client.send(notification(1));
    await client.close();
    expect(await count()).toBe(0);
    await simulator.post('/ledger/recording', { limit: 3 });
    const other = await simulator.connect();
    other.send(...notifications(2, 9));
    await other.close();
    expect(await count()).toBe(3);
    expect(await simulator.control.ledger()).toMatchObject({ received: 9, recorded: 3 });
  });
});

test('a rule is in force for as long as it says', () => {
  let now = 1_000;
  const book = new FaultBook(() => now);
  const { rules } = faultsBodySchema.parse({
    rules: [{ on: 'binary', forMs: 500, action: { kind: 'close' } }],
  });
  void book.replace(rules);
  const [rule] = book.forConnection('binary', 1, 'a');
  now = 1_499;
  expect(rule?.isInForce).toBe(true);
  now = 1_500;
  expect(rule?.isInForce).toBe(false);
});
