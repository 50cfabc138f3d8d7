import { clientVariables, readBuildInfo, readSecretVariable, readVariables } from '@pushfleet/service-kit';
import { type ClockReading, readClock } from './check-clock.ts';
import { type Finding, findingsAbout } from './finding.ts';

const { ok, warning, problem } = findingsAbout('api');

/** Somebody sits and waits, milliseconds. */
const timeoutMs = 5_000;

export interface ApiCheck {
  readonly findings: readonly Finding[];
  readonly clock: ClockReading | undefined;
}

/** Whether the HTTP API answers, takes the key, and is of this version; and what time it has. */
export async function checkApi(env: NodeJS.ProcessEnv, now: () => number): Promise<ApiCheck> {
  const { PUSHFLEET_KEY, ...plain } = clientVariables;
  const { values, problems } = readVariables(env, plain);
  const key = await readSecretVariable(env, 'PUSHFLEET_KEY', PUSHFLEET_KEY);
  const wrong = [...problems, ...(typeof key === 'object' ? [key] : [])];
  if (values === undefined || wrong.length > 0) {
    const findings = wrong.map(({ field, message }) => problem(`${field} ${message}`, 'Correct it.'));
    return { findings, clock: undefined };
  }
  const base = values.PUSHFLEET_URL.replace(/\/+$/, '');
  const ask = async (path: string) =>
    fetch(`${base}${path}`, {
      signal: AbortSignal.timeout(timeoutMs),
      headers: typeof key === 'string' ? { authorization: `Bearer ${key}` } : {},
    });
  try {
    let date = Number.NaN;
    const clock = await readClock('the API', now, async () => {
      const answer = await ask('/openapi.json');
      await answer.arrayBuffer();
      // To the second, rounded down.
      date = Date.parse(answer.headers.get('date') ?? '') + 500;
      return date;
    });
    const answer = await ask('/v1/apps');
    const text = await answer.text();
    const findings = [...judge(base, answer.status, text), await checkVersion(await ask('/openapi.json'))];
    return { findings, clock: Number.isNaN(date) ? undefined : clock };
  } catch (error) {
    const { message, cause } = error as Error;
    const reason =
      cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    return {
      findings: [
        warning(
          `nothing answers at ${base}: ${reason}`,
          'Start a producer, or name another address: PUSHFLEET_URL. Workers send what is enqueued without it.',
        ),
      ],
      clock: undefined,
    };
  }
}

function judge(base: string, status: number, text: string): Finding[] {
  if (status === 200) return [ok(`answers at ${base}`)];
  const detail = detailOf(text);
  if (status === 401) {
    return [
      warning(
        `answers at ${base}, and takes no key of ours: ${detail}`,
        'Set PUSHFLEET_KEY to a key that it knows.',
      ),
    ];
  }
  if (status === 403) return [ok(`answers at ${base}; the key may not read apps`)];
  return [
    problem(`${base} answered ${status}: ${detail}`, 'Look at the log of the producer, and at its /readyz.'),
  ];
}

async function checkVersion(answer: Response): Promise<Finding> {
  try {
    const { info } = (await answer.json()) as { readonly info?: { readonly version?: string } };
    const { version } = readBuildInfo();
    if (info?.version === version) return ok(`is of the version of this program, ${version}`);
    return warning(
      `is of version ${info?.version ?? 'unknown'}, this program of ${version}`,
      'In the middle of an upgrade that is all right; otherwise finish it.',
    );
  } catch {
    return warning('does not describe itself', 'Is it Pushfleet that PUSHFLEET_URL leads to?');
  }
}

function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // A proxy's page.
  }
  return text.slice(0, 100);
}
