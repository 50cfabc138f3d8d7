import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Figure } from './figure.ts';

// `node benchmarks/src/write-capacity.ts`: the figures of results/cost.json that `pushfleet capacity` reckons with.

export const capacityFile = fileURLToPath(
  new URL('../../apps/cli/src/capacity/measured-figures.ts', import.meta.url),
);
const source = new URL('../results/cost.json', import.meta.url);
const prefix = 'HTTP/2 at 50 ms: ';
const stations = ['Postgres', 'producer', 'Redis', 'worker', 'sweeper'] as const;

interface SavedCost {
  readonly measuredAt: string;
  readonly commit: string;
  readonly machine: { readonly processor: string; readonly cores: number };
  readonly figures: readonly Figure[];
}

/** The module, as it is written. @throws where a figure is missing */
export async function capacityModule(): Promise<string> {
  const { measuredAt, machine, figures } = JSON.parse(await readFile(source, 'utf8')) as SavedCost;
  const of = (name: string, unit: string): number => {
    const found = figures.find((figure) => figure.name === prefix + name && figure.unit === unit);
    if (found === undefined) throw new Error(`results/cost.json has no "${prefix}${name}" in ${unit}`);
    return found.figure;
  };
  const seconds = stations.map((station) => `    ${station}: ${of(station, 'processor s per million')},`);
  return `// Written by \`node benchmarks/src/write-capacity.ts\` from benchmarks/results/cost.json, and held to it by a test.

/** What a million notifications of a broadcast over HTTP/2 take, at 50 ms. */
export const measured = {
  /** The day, and the machine. */
  on: '${measuredAt.slice(0, 10)}',
  machine: '${machine.processor}, ${machine.cores} cores',
  /** Processor time, seconds. */
  secondsPerMillion: {
${seconds.join('\n')}
  },
  /** Between worker and gateway, both ways. */
  gatewayMegabytesPerMillion: ${of('between worker and gateway', 'MB per million')},
} as const;
`;
}
