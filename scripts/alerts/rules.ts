import { readFile } from 'node:fs/promises';

// The rules as they are committed, but for time: nobody waits for an hour to see an alert.

const secondsPer = { s: 1, m: 60, h: 3_600 } as const;
/** How much shorter: a minute becomes a second. */
const shortening = 60;
/** Under the interval of scrapes, a range holds no two samples to tell a rate from. */
const shortestRangeSeconds = 5;

/** Text of a file of ops/prometheus/rules, in which `for`, `interval` and ranges are shorter. */
export async function readShortenedRules(name: 'recording.yml' | 'alerts.yml'): Promise<string> {
  const text = await readFile(new URL(`../../ops/prometheus/rules/${name}`, import.meta.url), 'utf8');
  return text
    .replaceAll(/\b(for|interval): (\d+)([smh])\b/g, (_, key: string, amount: string, unit: string) => {
      return `${key}: ${shorten(amount, unit, 1)}`;
    })
    .replaceAll(/\[(\d+)([smh])\]/g, (_, amount: string, unit: string) => {
      return `[${shorten(amount, unit, shortestRangeSeconds)}]`;
    });
}

/** The alerts of a text of rules, in order. */
export function alertNames(rules: string): string[] {
  return [...rules.matchAll(/^\s*- alert: (\w+)$/gm)].map(([, name]) => name!);
}

function shorten(amount: string, unit: string, leastSeconds: number): string {
  const seconds = Number(amount) * secondsPer[unit as keyof typeof secondsPer];
  return `${Math.max(leastSeconds, Math.round(seconds / shortening))}s`;
}
