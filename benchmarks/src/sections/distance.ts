import { findNghttpd } from '@pushfleet/testkit';
import { enqueueBulk, enqueueTo, longText } from '../bulk.ts';
import { distinctTokens, type FarGateway, openFarGateway, topic } from '../far-gateway.ts';
import { createFigure, type Figure } from '../figure.ts';
import { benchApp, type Fleet, startFleet } from '../fleet.ts';
import type { PeerName } from '../http2-peers.ts';
import { lineFigures } from '../line-capacity.ts';
import { installPeers } from '../peers.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';
import { measureSteadyRate } from '../steady-rate.ts';
import { readAppTotals, settledOf } from '../totals.ts';

const section = 'distance';
const unit = 'notifications/s';
/** Round trips, milliseconds. */
const distances = [0, 20, 50, 100, 150] as const;
const ours = { warmUpMs: 2_500, measuredMs: 3_000 };
const theirs = { warmUpMs: 1_000, measuredMs: 1_500 };
/** More than their connections have streams. */
const peerCalls = 4_000;
const peers: readonly { readonly name: PeerName; readonly title: string }[] = [
  { name: 'node-apn', title: '@parse/node-apn 8.1.0' },
  { name: 'apns2', title: 'apns2 12.2.0' },
];
const gateways = [
  { streams: 1_000, windowBits: 16, title: '1,000 streams, 64 KiB' },
  { streams: 100, windowBits: 16, title: '100 streams, 64 KiB' },
  { streams: 1_000, windowBits: 20, title: '1,000 streams, 1 MiB' },
  { streams: 100, windowBits: 20, title: '100 streams, 1 MiB' },
] as const;
/** Where the bars are: the gateway as APNs is taken to be, and a usual distance. */
const usual = { title: gateways[0].title, rttMs: 50 };

interface Point {
  /** Whose. */
  readonly of: string;
  readonly gateway: string;
  readonly rttMs: number;
  readonly rate: number;
  /** Seconds; null where nothing was sent. */
  readonly cpuPerMillion: number | null;
  /** That were open in the end. */
  readonly connections: number;
  readonly isPeer: boolean;
  /** What the line carried both ways. */
  readonly lineBytesPerSecond: number;
}

/** What a distance to the gateway costs: a worker with the defaults, over HTTP/2 into nghttpd and over binary. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const points: Point[] = [];
  if ((await findNghttpd()) === undefined) {
    say('nghttpd (Debian: nghttp2-server) is not on the PATH: HTTP/2 is not measured');
  } else {
    const home = await installPeers(['@parse/node-apn@8.1.0', 'apns2@12.2.0']);
    if (home === undefined) say('@parse/node-apn and apns2 cannot be installed from here: not measured');
    for (const gateway of gateways) points.push(...(await measureHttp2(gateway, home, say)));
  }
  points.push(...(await measureBinary(say)));
  const most = Math.max(...points.map(({ lineBytesPerSecond }) => lineBytesPerSecond));
  return [...bars(points), ...curves(points), ...(await lineFigures(section, most))];
}

async function measureHttp2(
  options: (typeof gateways)[number],
  home: string | undefined,
  say: SectionContext['say'],
): Promise<Point[]> {
  const { title } = options;
  const far = await openFarGateway(options);
  // For those that take no authorities of their own; read when a process starts.
  process.env.NODE_EXTRA_CA_CERTS = far.caFile;
  try {
    const fleet = await startFleet({ app: far.app });
    const points: Point[] = [];
    try {
      let rate = 200_000;
      for (const rttMs of distances) {
        await topUp(fleet, rate, async (count) => enqueueTo(fleet.queue, far.tokens, count));
        const point = await measurePoint(fleet, far.line, { of: 'HTTP/2', gateway: title, rttMs });
        rate = Math.max(rate, point.rate);
        points.push(point);
        say(told(point));
        for (const peer of home === undefined ? [] : peers) {
          points.push(await measurePeer(far, home!, peer, { gateway: title, rttMs }));
          say(told(points.at(-1)!));
        }
      }
    } finally {
      await fleet.stop();
    }
    return points;
  } finally {
    delete process.env.NODE_EXTRA_CA_CERTS;
    await far.close();
  }
}

async function measureBinary(say: SectionContext['say']): Promise<Point[]> {
  const fleet = await startFleet({ isFar: true });
  const points: Point[] = [];
  try {
    let batch = 0;
    let rate = 1_000_000;
    for (const rttMs of distances) {
      await topUp(fleet, rate, async (count) => {
        await enqueueBulk(fleet.queue, count, batch);
        batch += Math.ceil(count / 5_000);
      });
      const point = await measurePoint(fleet, fleet.line!, { of: 'binary', gateway: 'simulator', rttMs });
      rate = Math.max(rate, point.rate);
      points.push(point);
      say(told(point));
    }
    return points;
  } finally {
    await fleet.stop();
  }
}

/** Sees to it that what waits lasts for one point at this rate. */
async function topUp(fleet: Fleet, rate: number, enqueue: (count: number) => Promise<void>): Promise<void> {
  const totals = await readAppTotals(fleet.redis, benchApp);
  const needed = rate * ((ours.warmUpMs + ours.measuredMs) / 1_000) * 1.3;
  await enqueue(Math.max(0, Math.ceil(needed - (totals.enqueued - settledOf(totals)))));
}

type Place = Pick<Point, 'of' | 'gateway' | 'rttMs'>;

/** A worker that has just started, at a distance. */
async function measurePoint(fleet: Fleet, line: FarGateway['line'], place: Place): Promise<Point> {
  await line.set({ delayMs: place.rttMs / 2 });
  const worker = await fleet.startWorker();
  try {
    const [before, startedMs] = [await line.figures(), performance.now()];
    const { rate, cpuPerMillion } = await measureSteadyRate(fleet, ours, { worker: worker.process.pid });
    const [after, endedMs] = [await line.figures(), performance.now()];
    return {
      ...place,
      rate,
      cpuPerMillion: cpuPerMillion.worker!,
      connections: after.open,
      isPeer: false,
      lineBytesPerSecond:
        (after.bytesUp + after.bytesDown - before.bytesUp - before.bytesDown) /
        ((endedMs - startedMs) / 1_000),
    };
  } finally {
    await worker.stop();
  }
}

async function measurePeer(
  { line, caFile, providerKey }: FarGateway,
  home: string,
  { name, title }: (typeof peers)[number],
  place: Omit<Place, 'of'>,
): Promise<Point> {
  const before = await line.figures();
  const { rate, cpuPerMillion } = await runActor<{ rate: number; cpuPerMillion: number | null }>(
    'distant-peer',
    {
      name,
      peers: home,
      port: line.port,
      caFile,
      providerKey,
      topic,
      alert: longText,
      calls: peerCalls,
      distinctTokens,
      ...theirs,
    },
  );
  const connections = (await line.figures()).accepted - before.accepted;
  return { of: title, ...place, rate, cpuPerMillion, connections, isPeer: true, lineBytesPerSecond: 0 };
}

function told({ of, gateway, rttMs, rate, connections, cpuPerMillion }: Point): string {
  const cpu = cpuPerMillion === null ? '' : `, ${cpuPerMillion.toFixed(1)} s per million`;
  return `${of}, ${gateway}, ${rttMs} ms: ${Math.round(rate).toLocaleString('en')}/s, ${connections} connections${cpu}`;
}

function bars(points: readonly Point[]): Figure[] {
  const at = (of: string, rttMs: number): Point | undefined =>
    points.find((point) => point.of === of && point.gateway === usual.title && point.rttMs === rttMs);
  const near = at('HTTP/2', 0);
  const far = at('HTTP/2', usual.rttMs);
  if (near === undefined || far === undefined) return [];
  return [
    createFigure({
      section,
      name: `HTTP/2 at ${usual.rttMs} ms, defaults, ${usual.title}`,
      figure: far.rate,
      unit,
      against: { name: 'at 0 ms', figure: near.rate },
      atLeast: 0.7,
    }),
    ...peers.flatMap(({ title }) => {
      const theirs = at(title, usual.rttMs);
      if (theirs === undefined) return [];
      return createFigure({
        section,
        name: `${title} at ${usual.rttMs} ms, ${usual.title}`,
        figure: theirs.rate,
        unit,
        against: { name: 'ours there', figure: far.rate },
        atMost: 0.2,
      });
    }),
  ];
}

function curves(points: readonly Point[]): Figure[] {
  const draw = (of: string, unit: string, value: (point: Point) => number | null): Figure[] =>
    points.flatMap((point) => {
      const figure = value(point);
      if (figure === null) return [];
      const whose = `${point.of}, ${point.gateway}`;
      return createFigure({
        section,
        name: `${of}${whose}, ${point.rttMs} ms`,
        figure,
        unit,
        curve: { of: whose, x: point.rttMs, axis: 'round trip, ms', isPeer: point.isPeer },
      });
    });
  return [
    ...draw('', unit, ({ rate }) => rate),
    ...draw('connections: ', 'connections', ({ connections }) => connections),
    ...draw('processor time: ', 's per million', ({ cpuPerMillion }) => cpuPerMillion),
  ];
}
