import type { CertificateInspection, Inspection, IntendedUse, ProviderKeyInspection } from './inspection.ts';

/** What people read. @param use What they asked about. */
export function showInspection(inspection: Inspection, use: IntendedUse): string {
  const rows = inspection.kind === 'certificate' ? certificateRows(inspection) : providerKeyRows(inspection);
  const lines = rows.map(([name, value]) => `${name.padEnd(14)}${value}`);
  const verdict = verdictOf(inspection, use);
  return [...lines, ...(verdict.length === 0 ? [] : ['', ...verdict])].join('\n');
}

function verdictOf({ problems }: Inspection, { topic, environment }: IntendedUse): string[] {
  if (problems.length > 0) return problems.map(({ message }) => `✗ ${message}`);
  const asked = [
    topic === undefined ? [] : topic,
    environment === undefined ? [] : `in ${environment}`,
  ].flat();
  return asked.length === 0 ? [] : [`✓ fits ${asked.join(' ')}`];
}

type Row = readonly [name: string, value: string];

function certificateRows(inspection: CertificateInspection): Row[] {
  const { certificate, privateKey, usableFor } = inspection;
  return [
    ['certificate', certificate.commonName],
    ['issuer', certificate.issuer],
    ['private key', privateKey === 'present' ? `present, ${certificate.keyType}` : absentKey],
    ['environments', certificate.environments.join(', ') || 'none'],
    ...certificate.topics.map(
      ({ topic, kinds }, index): Row => [index === 0 ? 'topics' : '', `${topic} (${kinds.join(', ')})`],
    ),
    ['valid', `${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`],
    ['', expiryText(inspection)],
    ['fingerprint', `SHA-256 ${certificate.sha256Fingerprint}`],
    ['serial', certificate.serialNumber],
    [
      'good for',
      usableFor.transports.length === 0 ? 'no gateway' : 'binary gateway, feedback service, HTTP/2',
    ],
    ...usableFor.topics.map(({ topic, pushTypes }): Row => ['', `${pushTypes.join(', ')} to ${topic}`]),
  ];
}

const absentKey =
  'not in this file: it is where the signing request was made; without it nothing can be sent';

function expiryText({ daysLeft, expiryWarningDays }: CertificateInspection): string {
  if (daysLeft < 0) return `expired ${days(-daysLeft)} ago`;
  return `expires in ${days(daysLeft)}${expiryWarningDays === null ? '' : ': renew it now'}`;
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`;
}

function providerKeyRows({ keyId, teamId, sha256Fingerprint }: ProviderKeyInspection): Row[] {
  return [
    ['provider key', keyId],
    ['team', teamId],
    ['fingerprint', `SHA-256 ${sha256Fingerprint} (public key)`],
    ['good for', 'HTTP/2, production and sandbox'],
    ['', 'every push type to every topic of the team, unless the key was made for one environment or topic'],
    ['expires', 'never; it can be revoked in the developer portal'],
  ];
}
