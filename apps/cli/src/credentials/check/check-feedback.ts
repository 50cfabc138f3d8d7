import { open, readFile } from 'node:fs/promises';
import { describeError, type FeedbackResult, readFeedback } from '@pushfleet/apns-client';
import type { Endpoint } from '@pushfleet/service-kit';
import { CliError } from '../../cli-error.ts';
import type { CheckReport } from './check-report.ts';
import { certificateRefused } from './explain-tls-error.ts';
import { openConnection } from './open-connection.ts';

const notShown =
  'our certificate was not shown: the service sends its list to whoever shows it, and forgets it; ' +
  '--read-feedback <file> reads it into a file';

/** Checks that the feedback service is there and the right one, without reading: that would clear its list. */
export async function checkFeedback(report: CheckReport, feedback: Endpoint): Promise<void> {
  const name = 'feedback service';
  const before = report.steps.length;
  const socket = await openConnection(report, { name, endpoint: feedback });
  socket?.destroy();
  if (report.steps.slice(before).every(({ result }) => result === 'ok'))
    report.ok(name, 'reachable', notShown);
}

/** Reads the feedback service with our certificate. What it says is in the file before anything else is done. */
export async function readFeedbackInto(
  report: CheckReport,
  feedback: Endpoint,
  credential: { readonly cert: string; readonly key: string },
  path: string,
): Promise<void> {
  // Opened first: what is read and cannot be written would be lost.
  const file = await open(path, 'ax', 0o600).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EEXIST')
      throw new CliError('file-exists', `${path} is there already: name another file`);
    throw new CliError('file-not-written', `${path} cannot be written: ${cause.code ?? cause.message}`, {
      cause,
    });
  });
  try {
    const { host, port, ca } = feedback;
    const end = await readFeedback({
      ...{ host, port, credential },
      ...(ca === undefined ? {} : { ca: await readFile(ca, 'utf8') }),
      onTuples: async (tuples) => {
        const lines = tuples.map(({ timestamp, token }) =>
          JSON.stringify({ time: timestamp, token: Buffer.from(token).toString('hex') }),
        );
        await file.write(`${lines.join('\n')}\n`);
        await file.sync();
      },
    });
    const step = 'feedback service: reading';
    const detail = `${end.tuples} ${end.tuples === 1 ? 'tuple' : 'tuples'} written to ${path}; ${end.detail}`;
    if (end.result === 'complete') report.ok(step, detail, end.tuples === 0 ? undefined : importAdvice);
    else report.failed(step, detail, readAdvice[end.result]);
  } catch (error) {
    report.failed('feedback service: reading', describeError(error));
  } finally {
    await file.close();
  }
}

const importAdvice =
  'the service has forgotten them: a device of these is gone unless it has registered since';

const readAdvice: Readonly<Record<Exclude<FeedbackResult, 'complete'>, string>> = {
  truncated: 'what came before the cut is in the file; read again',
  broken: 'what came before is in the file; read again',
  'timed-out': 'what came before is in the file; the service stopped in the middle',
  stopped: 'what came before is in the file',
  failed: certificateRefused,
};
