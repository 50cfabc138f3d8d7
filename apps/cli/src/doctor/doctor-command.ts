import type { Command } from 'commander';
import { ExitCode, type Terminal } from '../terminal.ts';
import { examine } from './doctor.ts';
import type { Finding } from './finding.ts';

export function addDoctorCommand(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .description(
      'look at all there is: configuration, credentials, gateways and trust, Redis, Postgres, workers, API, disk, clocks',
    )
    .addHelpText(
      'after',
      `
Reads what the services read: REDIS_URL, DATABASE_URL (or each with _FILE) and PUSHFLEET_CONFIG; PUSHFLEET_URL and
PUSHFLEET_KEY for the API. Changes nothing, and sends nothing; a gateway is asked for its certificate alone.

Each line begins with ✓ (in order), ! (a warning: works, and will not for long or not well) or ✗ (a problem: does not
work, or loses what it should keep), and says what to do. Exit code 1: there is a problem; warnings alone give 0.

Examples:
  pushfleet doctor
  pushfleet doctor --json | jq '.findings[] | select(.severity != "ok")'`,
    )
    .action(async () => {
      const findings = await examine(terminal.env);
      const problems = findings.filter(({ severity }) => severity === 'problem').length;
      terminal.print({ healthy: problems === 0, findings }, () => showFindings(findings, problems));
      if (problems > 0) terminal.exitCode = ExitCode.failed;
    });
}

const marks = { ok: '✓', warning: '!', problem: '✗' } as const;

function showFindings(findings: readonly Finding[], problems: number): string {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.flatMap(({ about, severity, message, advice }) => {
    const line = `${marks[severity]} ${about.padEnd(width)}  ${message}`;
    return advice === undefined ? [line] : [line, `  ${' '.repeat(width)}  → ${advice}`];
  });
  const warnings = findings.filter(({ severity }) => severity === 'warning').length;
  return [...lines, '', `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}`].join('\n');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
