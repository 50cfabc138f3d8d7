import { parseArgs } from 'node:util';
import { panelExpressions } from './dashboards/expressions.ts';

// Runs every expression of every dashboard against a Prometheus that scrapes a fleet under load, and says which give no
// data: `node ops/src/check-dashboards.ts --prometheus http://127.0.0.1:9090`. Exit code 1 when there is one.

const { values } = parseArgs({
  options: { prometheus: { type: 'string', default: 'http://127.0.0.1:9090' } },
});

/** Why an expression shows nothing; undefined: it shows something. */
async function whyEmpty(expr: string): Promise<string | undefined> {
  const query = new URLSearchParams({ query: expr }).toString();
  const answer = await fetch(`${values.prometheus}/api/v1/query?${query}`, {
    signal: AbortSignal.timeout(30_000),
  });
  const body = (await answer.json()) as {
    readonly error?: string;
    readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] };
  };
  if (body.data === undefined) return body.error ?? `status ${answer.status}`;
  if (body.data.result.length === 0) return 'no series';
  // A quantile of nothing is NaN.
  return body.data.result.some(({ value }) => Number.isFinite(Number(value[1]))) ? undefined : 'no numbers';
}

const expressions = panelExpressions();
let empty = 0;
for (const { dashboard, panel, expr } of expressions) {
  const reason = await whyEmpty(expr);
  if (reason === undefined) continue;
  empty += 1;
  process.stdout.write(`${dashboard}, "${panel}": ${reason}\n  ${expr}\n`);
}
process.stdout.write(`${expressions.length - empty} of ${expressions.length} expressions return data\n`);
process.exitCode = empty === 0 ? 0 : 1;
