import { type DemoResult, holds } from './tally.ts';

/** What the numbers are, for somebody who has not read a document yet; lines of at most 100 characters. */
export function explainResult(result: DemoResult): string[] {
  const { accepted, rejected, expired, cancelled, dead, lost } = result;
  const afterKill = result.duplicates - result.duplicatesAfterErrorPackets;
  return [
    '',
    row('enqueued', result.enqueued, 'notifications that the API answered with 202'),
    row(
      'accepted',
      accepted,
      `taken by the gateway, whose own ledger has ${count(result.gatewayReceivedUnique)}`,
    ),
    row('rejected', rejected, 'refused by the gateway: bad device tokens'),
    ...(expired + cancelled + dead === 0
      ? []
      : [row('expired, cancelled, dead', expired + cancelled + dead, 'ended without the gateway')]),
    row('lost', lost, 'without an outcome, or accepted and not in the ledger'),
    row('devices deactivated', result.devicesDeactivated, 'bad tokens, and those that feedback named'),
    '',
    holds(result)
      ? `Every notification has exactly one outcome, and the gateway's ledger agrees (${result.seconds} s).`
      : 'The sums do NOT agree.',
    '',
    'Sent twice:',
    row(
      'after cut connections',
      result.duplicatesAfterErrorPackets,
      'the error packet says which frame was the last',
    ),
    row('after kill -9', afterKill, ''),
    ...(afterKill === 0
      ? []
      : [
          '  The killed worker had written these, and died before it could report. Nobody can know which of',
          '  them the gateway had taken, so another worker sent them again: rather twice than never. A plain',
          '  stop (SIGTERM) sends nothing twice. The setting "window" bounds how many it can be; with',
          '  "onUncertain: drop" it is none, and they end as dead with the reason "uncertain".',
          '  More: docs/delivery.md',
        ]),
  ];
}

/** What to do after the demo. */
export const nextSteps = [
  '',
  'Next:',
  '  npm run demo -- --keep     the same, and then a playground: send, cancel, look at dead letters',
  '  README.md                  your first push',
  '  docs/README.md             which page answers which question',
];

function row(name: string, value: number, explanation: string): string {
  return `  ${name.padEnd(24)}${count(value).padStart(11)}   ${explanation}`.trimEnd();
}

function count(value: number): string {
  return value.toLocaleString('en');
}
