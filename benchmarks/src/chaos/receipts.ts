import type { ChaosFleet } from './fleet.ts';

/** One receipt in the gateway's ledger. */
export interface Receipt {
  /** Of all that came, over all connections. */
  readonly sequence: number;
  readonly atMs: number;
  readonly connection: number;
  readonly isTaken: boolean;
}

/** What came to the gateway, by mark and token. */
export async function readLedger({
  simulator,
}: ChaosFleet): Promise<ReadonlyMap<string, readonly Receipt[]>> {
  const { recorded, received, rejected, discarded } = await simulator.control.ledger();
  if (Number(recorded) < received + rejected + Number(discarded)) {
    throw new Error('More came to the gateway than its ledger keeps: make the run shorter');
  }
  const receipts = new Map<string, Receipt[]>();
  for await (const {
    sequence,
    at,
    connection,
    token,
    payload,
    outcome,
  } of simulator.control.notifications()) {
    const mark = /"mark":"([^"]+)"/.exec(String(payload))?.[1];
    if (mark === undefined || outcome === 'discarded') continue;
    const key = `${mark} ${String(token)}`;
    const list = receipts.get(key) ?? [];
    receipts.set(key, list);
    list.push({
      sequence: Number(sequence),
      atMs: Number(at),
      connection: Number(connection),
      isTaken: outcome === 'received',
    });
  }
  return receipts;
}
