import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNghttpd, openNghttpd } from '@pushfleet/testkit';
import { createProviderKey, TestAuthority } from '@pushfleet/testkit/certificates';
import { hexTokens } from '../columns.ts';
import { createFigure, type Figure, median } from '../figure.ts';
import { findH2load, runH2load } from '../h2load.ts';
import { installPeers } from '../peers.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';

const section = 'http2';
const unit = 'notifications/s';
const rounds = 5;
const count = 500_000;
const bareCount = 100_000;
const peerCount = 50_000;
/** As APNs allows them. */
const streams = 1_000;
const distinctTokens = 1_000;

/** All sides send to the same nghttpd, one after another, in turns: one connection, 1,000 streams. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  if ((await findNghttpd()) === undefined) {
    say('nghttpd (Debian: nghttp2-server) is not on the PATH: not measured');
    return [];
  }
  const authority = await TestAuthority.create();
  const server = await authority.issueServerCertificate();
  const nghttpd = await openNghttpd({
    server,
    tokens: hexTokens(distinctTokens),
    args: ['-m', String(streams)],
  });
  const caFile = join(tmpdir(), `pushfleet-bench-${process.pid}-ca.pem`);
  await writeFile(caFile, authority.certificatePem);
  // For those that take no authorities of their own; read when a process starts.
  process.env.NODE_EXTRA_CA_CERTS = caFile;
  const providerKey = createProviderKey();
  const peers = await installPeers(['@parse/node-apn@8.1.0', 'apns2@12.2.0']);
  const h2load = await findH2load();
  if (h2load === undefined) say('h2load (Debian: nghttp2-client) is not on the PATH: not measured');
  if (peers === undefined) say('@parse/node-apn and apns2 cannot be installed from here: not measured');
  const rateOf = async (mode: string, count: number): Promise<number> => {
    const parameters = {
      mode,
      count,
      port: nghttpd.port,
      caFile,
      streams,
      distinctTokens,
      providerKey,
      peers,
    };
    return (await runActor<{ rate: number }>('http2-sender', parameters)).rate;
  };
  try {
    const rates: Record<'transport' | 'bare' | 'h2load' | 'node-apn' | 'apns2', number[]> = {
      transport: [],
      bare: [],
      h2load: [],
      'node-apn': [],
      apns2: [],
    };
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      rates.transport.push(await rateOf('transport', count));
      rates.bare.push(await rateOf('bare', bareCount));
      if (h2load !== undefined) {
        const url = `https://localhost:${nghttpd.port}/3/device/${hexTokens(1)[0]}`;
        rates.h2load.push(await runH2load(h2load, { url, count, streams }));
      }
      if (peers === undefined || round >= 3) continue;
      rates['node-apn'].push(await rateOf('node-apn', peerCount));
      rates.apns2.push(await rateOf('apns2', peerCount));
    }
    const figure = median(rates.transport);
    const against = (name: string, rates: readonly number[], atLeast?: number): Figure =>
      createFigure({
        section,
        name: `HTTP/2 transport, full accounting, against ${name}`,
        figure,
        unit,
        against: { name, figure: median(rates) },
        ...(atLeast === undefined ? {} : { atLeast }),
      });
    return [
      against('a bare node:http2 client', rates.bare, 3),
      ...(h2load === undefined ? [] : [against('h2load', rates.h2load, 0.9)]),
      ...(peers === undefined
        ? []
        : [against('@parse/node-apn 8.1.0', rates['node-apn']), against('apns2 12.2.0', rates.apns2)]),
    ];
  } finally {
    delete process.env.NODE_EXTRA_CA_CERTS;
    await Promise.all([nghttpd.close(), rm(caFile)]);
  }
}
