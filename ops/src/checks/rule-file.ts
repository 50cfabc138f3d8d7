import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../repository.ts';

interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RuleFile {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly (RecordingRule | AlertingRule)[];
  }[];
}

const rulesFolder = join(repositoryRoot, 'ops/prometheus/rules');

export async function readRules(name: 'recording.yml' | 'alerts.yml'): Promise<RuleFile> {
  return parse(await readFile(join(rulesFolder, name), 'utf8')) as RuleFile;
}

export function rulesOf(file: RuleFile): (RecordingRule | AlertingRule)[] {
  return file.groups.flatMap(({ rules }) => rules);
}

export function alertsOf(file: RuleFile): AlertingRule[] {
  return rulesOf(file).filter((rule) => 'alert' in rule);
}
