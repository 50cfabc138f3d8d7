import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hexTokens } from '../columns.ts';
import { openPeer, type PeerName, type PeerOptions } from '../http2-peers.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Another sender for a fixed time, with as many calls under way as it can use: its rate once it is under way.

interface Parameters extends Omit<PeerOptions, 'ca'> {
  readonly name: PeerName;
  readonly caFile: string;
  readonly calls: number;
  readonly distinctTokens: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

const { name, caFile, calls, distinctTokens, warmUpMs, measuredMs, ...options } =
  readParameters<Parameters>();
const peer = openPeer(name, { ...options, ca: readFileSync(caFile, 'utf8') });
const tokens = hexTokens(distinctTokens);
let answered = 0;
let next = 0;
for (let call = 0; call < calls; call++) {
  void (async () => {
    for (;;) {
      await peer.send(tokens[next++ % tokens.length]!);
      answered++;
    }
  })().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
}
await delay(warmUpMs);
const [before, usedBefore, startedMs] = [answered, process.cpuUsage(), performance.now()];
await delay(measuredMs);
const count = answered - before;
const { user, system } = process.cpuUsage(usedBefore);
printResult({
  rate: count / ((performance.now() - startedMs) / 1_000),
  cpuPerMillion: count === 0 ? null : (user + system) / count,
});
process.exit(0);
