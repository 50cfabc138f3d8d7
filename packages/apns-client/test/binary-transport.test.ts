import { afterAll, describe, expect } from 'vitest';
import { stopGateway, test } from './gateway-test.ts';
import { TestCredential } from './test-credential.ts';

afterAll(stopGateway);

describe('a binary transport', () => {
  test('streams a run, and presumes it accepted after silence', async ({ gateway }) => {
    const { transport, submit } = gateway.open({ confirmAfterMs: 100 });
    expect(transport.state).toEqual({ kind: 'idle' });
    const run = await submit({ count: 1_000 }).settled();
    expect(run.sums).toEqual({ presumed: 1_000 });
    await expect.poll(async () => gateway.control.ledger()).toMatchObject({ received: 1_000, duplicates: 0 });
    expect(transport.inFlight).toBe(0);
    expect(transport.state).toEqual({ kind: 'open', connections: 1 });
  });

  test('keeps the order of a run', async ({ gateway }) => {
    const { transport, submit } = gateway.open();
    const run = submit({ count: 2_000 });
    await transport.drain(10_000);
    const tokens: string[] = [];
    for await (const { token, outcome } of gateway.control.notifications()) {
      if (outcome === 'received') tokens.push(String(token));
    }
    expect(tokens).toEqual(Array.from({ length: 2_000 }, (_, position) => run.token(position)));
  });

  test('rejects the notification that an error response names, and replays what came after it', async ({
    gateway,
  }) => {
    const { transport, submit, observed } = gateway.open({ confirmAfterMs: 60_000 });
    await gateway.setFaults({ on: 'binary', match: { everyNth: 300 }, times: 3, action: { kind: 'reject' } });
    const run = submit({ count: 1_000 });
    await transport.drain(10_000);
    expect(run.positions('rejected')).toEqual([299, 599, 899]);
    expect(run.settlements[299]).toEqual({
      kind: 'rejected',
      answer: { reason: 'invalid-token', status: 8, fault: 'notification', tokenInvalid: true },
    });
    expect(run.sums).toEqual({ proved: 997, rejected: 3 });
    // The fourth is the known-bad frame.
    expect(await gateway.control.ledger()).toMatchObject({ received: 997, duplicates: 0, rejected: 4 });
    expect(observed.ends).toEqual(['error-response', 'error-response', 'error-response', 'drained']);
  });

  test('proves everything when it drains', async ({ gateway }) => {
    const { transport, submit } = gateway.open({ confirmAfterMs: 60_000 });
    const run = submit({ count: 500 });
    await transport.drain(10_000);
    expect(run.sums).toEqual({ proved: 500 });
    expect(transport.state).toEqual({ kind: 'closed' });
    expect(await gateway.control.ledger()).toMatchObject({ received: 500, rejected: 1 });
  });

  test('streams command 0, whose only word is silence', async ({ gateway }) => {
    const { transport, observed, submit } = gateway.open({ command: 0, confirmAfterMs: 300 });
    const run = submit({ count: 500 });
    await transport.drain(10_000);
    expect(run.sums).toEqual({ presumed: 500 });
    expect(observed.ends).toEqual(['drained']);
    await expect.poll(async () => gateway.control.ledger()).toMatchObject({ received: 500, rejected: 0 });
  });

  test('cannot know what became of anything when command 0 is cut for a bad token', async ({ gateway }) => {
    const { submit } = gateway.open({ command: 0, confirmAfterMs: 60_000 });
    await gateway.setFaults({ on: 'binary', match: { everyNth: 300 }, times: 1, action: { kind: 'reject' } });
    const run = await submit({ count: 500 }).settled();
    expect(run.sums).toEqual({ uncertain: 500 });
    expect(run.settlements[0]).toEqual({ kind: 'uncertain', cause: 'gateway-closed' });
  });

  test('hands everything back when it is destroyed', async ({ gateway }) => {
    const { transport, submit } = gateway.open({ confirmAfterMs: 60_000 });
    const runs = Array.from({ length: 10 }, (_, seed) => submit({ count: 1_000, seed }));
    await expect.poll(() => runs[0]!.writes[0]).toBe(1);
    transport.destroy();
    const sums = runs.map((run) => run.sums);
    expect(sums.reduce((sum, { uncertain = 0, unprocessed = 0 }) => sum + uncertain + unprocessed, 0)).toBe(
      10_000,
    );
    expect(runs[0]!.settlements[0]).toEqual({ kind: 'uncertain', cause: 'drained' });
    expect(transport.inFlight).toBe(0);
  });

  test('is paused while its credential is missing, and goes on when it comes', async ({ gateway }) => {
    const credential = new TestCredential(new Error('no such file'));
    const { transport, submit } = gateway.open({ credential, confirmAfterMs: 50 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: 'no such file' });
    expect(transport.room).toBe(0);
    expect(submit({ count: 5 }).sums).toEqual({ unprocessed: 5 });
    credential.renew(gateway.identity);
    await expect.poll(() => transport.room).toBeGreaterThan(0);
    expect((await submit({ count: 5 }).settled()).sums).toEqual({ presumed: 5 });
  });
});
