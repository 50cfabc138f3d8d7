import { expect, test } from 'vitest';
import { type DecisionOptions, NoServiceError, provideService, type ServiceKind } from '../src/index.ts';

/** Which ways are open, and what was said. */
async function decide(
  open: { given?: boolean | 'broken'; container?: boolean | 'broken'; program?: boolean; install?: boolean },
  options: DecisionOptions = {},
): Promise<{ kind: ServiceKind; by: string; said: string[] }> {
  const said: string[] = [];
  const way = (by: string, isOpen: boolean | undefined) => async () =>
    isOpen === true ? { description: `by ${by}` } : undefined;
  const { kind, server } = await provideService(
    {
      name: 'Redis',
      given: { variable: 'REDIS_URL', url: (open.given ?? false) === false ? undefined : 'redis://given' },
      useGiven: async (url) => {
        if (open.given === 'broken') throw new Error('connect ECONNREFUSED');
        return { description: `by ${url}` };
      },
      openContainer: async () => {
        if (open.container === 'broken') throw new Error('no image');
        return way('container', open.container)();
      },
      openProgram: way('program', open.program),
      install: way('installation', open.install),
      advice: 'Do this or that.',
    },
    { env: {}, say: (line) => said.push(line), ...options },
  );
  return { kind, by: server.description, said };
}

const everything = { given: true, container: true, program: true, install: true };

test('a given server comes first, and is passed over for tests that want their own', async () => {
  expect(await decide(everything)).toMatchObject({ kind: 'given', by: 'by redis://given' });
  expect(await decide(everything, { own: true })).toMatchObject({ kind: 'container' });
});

test('a given server that cannot be used is an error that names the variable, not the URL', async () => {
  await expect(decide({ ...everything, given: 'broken' })).rejects.toThrow(
    new NoServiceError(
      'There is no Redis: the server that REDIS_URL names cannot be used (connect ECONNREFUSED). ' +
        'Correct REDIS_URL, or unset it to have a private server started.',
    ),
  );
});

test('containers come before programs, unless programs are preferred', async () => {
  const both = { container: true, program: true };
  expect(await decide(both)).toMatchObject({ kind: 'container' });
  expect(await decide(both, { prefer: 'program' })).toMatchObject({ kind: 'program', by: 'by program' });
});

test('each way leads on to the next', async () => {
  expect(await decide({ program: true })).toMatchObject({ kind: 'program', by: 'by program' });
  expect(await decide({ install: true })).toMatchObject({ kind: 'program', by: 'by installation' });
  expect(await decide({ container: true }, { prefer: 'program' })).toMatchObject({ kind: 'container' });
});

test('a container that cannot be had is said, and the next way taken', async () => {
  const decision = await decide({ container: 'broken', program: true });
  expect(decision.by).toBe('by program');
  expect(decision.said).toEqual([
    'Redis: a container engine answers, but no container could be had: no image',
    'Redis: by program',
  ]);
});

test('PUSHFLEET_TEST_SERVICES forces one way', async () => {
  const both = { given: true, container: true, program: true, install: true };
  const env = (value: string) => ({ env: { PUSHFLEET_TEST_SERVICES: value } });
  expect(await decide(both, env('programs'))).toMatchObject({ by: 'by program' });
  expect(await decide(both, env('containers'))).toMatchObject({ by: 'by container' });
  await expect(decide({ program: true, install: true }, env('containers'))).rejects.toThrow(NoServiceError);
  await expect(decide(both, env('magic'))).rejects.toThrow(
    'PUSHFLEET_TEST_SERVICES must be auto, containers or programs, not magic',
  );
});

test('without any way the error gives the reasons and the advice', async () => {
  await expect(decide({ container: 'broken' })).rejects.toThrow(
    'There is no Redis: a container engine answers, but no container could be had: no image; ' +
      'no such program was found on this machine. Do this or that.',
  );
  await expect(decide({ install: true }, { install: false })).rejects.toThrow(NoServiceError);
});

test('the decision is announced unless nobody wants to hear it', async () => {
  expect((await decide({ program: true })).said).toEqual(['Redis: by program']);
  expect((await decide({ program: true }, { announce: false })).said).toEqual([]);
});
