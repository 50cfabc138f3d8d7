import { expect, test } from 'vitest';
import { createResourceStack, ServiceError } from '../src/index.ts';

test('resources are given up last in, first out, one after the other', async () => {
  const stack = createResourceStack();
  const order: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    stack.add(name, async () => {
      order.push(`${name} begins`);
      await Promise.resolve();
      order.push(`${name} ends`);
    });
  }
  await stack.release();
  expect(order).toEqual([
    'third begins',
    'third ends',
    'second begins',
    'second ends',
    'first begins',
    'first ends',
  ]);
});

test('every release is one and the same', async () => {
  const stack = createResourceStack();
  let releases = 0;
  stack.add('counted', () => void releases++);
  await Promise.all([stack.release(), stack.release()]);
  await stack.release();
  expect(releases).toBe(1);
});

test('one failure does not keep the others from being given up, and is told', async () => {
  const stack = createResourceStack();
  const released: string[] = [];
  stack.add('server', () => void released.push('server'));
  stack.add('broken', () => {
    throw new Error('no way');
  });
  stack.add('client', () => void released.push('client'));
  await expect(stack.release()).rejects.toThrow('broken could not be released: Error: no way');
  expect(released).toEqual(['client', 'server']);
});

test('what is added after the release began is given up at once, and the release waits for it', async () => {
  const stack = createResourceStack();
  const released: string[] = [];
  let letGo = () => {};
  stack.add('slow', async () => {
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
    released.push('slow');
  });
  const release = stack.release();
  expect(() => stack.add('late', () => void released.push('late'))).toThrow(ServiceError);
  letGo();
  await release;
  await stack.release();
  expect(released).toEqual(['slow', 'late']);
});
