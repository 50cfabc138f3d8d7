import { checkCredential, loadCredential } from '@pushfleet/apns-credentials';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { configHelp } from '../fleet/find-app.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { checkBinary } from './check/check-binary.ts';
import { checkFeedback, readFeedbackInto } from './check/check-feedback.ts';
import { checkHttp2 } from './check/check-http2.ts';
import { CheckReport, showStep } from './check/check-report.ts';
import { type CheckTarget, type TargetOptions, targetOfApp, targetOfFile } from './check/check-target.ts';
import { addCredentialOptions, fileHelp } from './credential-options.ts';

interface CheckOptions extends TargetOptions {
  readonly app?: string;
  readonly config?: string;
  readonly prove?: boolean;
  readonly readFeedback?: string;
  readonly hold: number;
}

export function addCheckCommand(credentials: Command, terminal: Terminal): void {
  const command = credentials
    .command('check')
    .description(
      'connect to the gateway and the feedback service with a credential, and explain what happens',
    )
    .argument('[file]', fileHelp)
    .option('--app <id>', 'instead of a file: an app of the configuration file')
    .option('--config <file>', configHelp)
    .addOption(new Option('--transport <name>', 'http2 by default').choices(['binary', 'http2']))
    .option('--topic <bundle id>', 'of the app')
    .addOption(new Option('--environment <name>', 'of the app').choices(['production', 'sandbox']))
    .option('--host <name>', "of the gateway; Apple's by default")
    .option('--port <number>', 'of the gateway', parsePort)
    .option('--feedback-port <number>', 'of the feedback service, on the same host', parsePort)
    .option('--ca <file>', 'PEM file of the authorities to trust, for a private gateway')
    .option('--prove', 'also send what no device can get, and wait for its refusal')
    .option('--read-feedback <file>', 'read the feedback service into a new file; reading clears its list')
    .option('--hold <ms>', 'how long the gateway has to cut a connection that it dislikes', parseHold, 1_500);
  addCredentialOptions(command)
    .addHelpText('after', explanation)
    .action(async (file: string | undefined, options: CheckOptions) => {
      const target = await findTarget(file, options, terminal.env);
      const report = new CheckReport((step) => terminal.progress(showStep(step)));
      await check(report, target, options, terminal.env);
      const { isInOrder, steps } = report;
      terminal.print({ inOrder: isInOrder, steps }, () => (isInOrder ? 'in order' : 'not in order'));
      if (!isInOrder) terminal.exitCode = ExitCode.failed;
    });
}

const explanation = `
Without --prove nothing is sent after the handshake (HTTP/2: a PING). With it, one frame (binary) or request (HTTP/2) for a
device that cannot be: its refusal proves that frames arrive and answers come back, and on HTTP/2 that credential and
topic are taken. With a provider key and REDIS_URL it uses the token of the fleet; without REDIS_URL it signs one of its own,
which Apple counts: a fleet that starts within 20 minutes may have to wait.

The feedback service is looked at without showing the certificate: it sends its list to whoever shows it, and forgets it.

Examples:
  pushfleet credentials check --app shop-prod --prove
  pushfleet credentials check shop.p12 --passphrase-file shop.passphrase --topic com.example.shop --environment production
  pushfleet credentials check ck.pem --topic com.example.shop --environment production \\
    --transport binary --host push.example.com --port 2195 --feedback-port 2196 --ca gateway-ca.pem`;

async function findTarget(
  file: string | undefined,
  options: CheckOptions,
  env: NodeJS.ProcessEnv,
): Promise<CheckTarget> {
  if ((file === undefined) === (options.app === undefined)) {
    throw new CliError('usage', 'name either a file or, by --app, an app of the configuration file');
  }
  if (options.app !== undefined) return targetOfApp(options.app, options.config, env);
  return targetOfFile(file ?? '', options);
}

async function check(
  report: CheckReport,
  target: CheckTarget,
  { prove = false, readFeedback, hold }: CheckOptions,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const { transport, feedback, topic, environment } = target;
  const credential = await loadCredential(target.credential, { environment: env });
  const problems = checkCredential(credential, { topic, environment });
  for (const { message } of problems) report.failed('credential', message);
  if (problems.length === 0) report.ok('credential', `fits ${topic} in ${environment}`);
  if (transport === 'http2') {
    await checkHttp2(report, target, { credential, prove, env });
    return;
  }
  if (credential.kind === 'token') {
    report.failed(
      'credential',
      'a provider key (.p8) is for http2 only',
      'the binary protocol needs a certificate',
    );
    return;
  }
  const identity = { cert: credential.certPem, key: credential.keyPem };
  await checkBinary(report, target, { identity, prove, holdMs: hold });
  if (feedback === undefined) return;
  if (readFeedback === undefined) await checkFeedback(report, feedback);
  else await readFeedbackInto(report, feedback, identity, readFeedback);
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a number from 1 to 65535.');
}

function parseHold(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of milliseconds, up to 99999.');
}
