import type { ConnectGate } from './connect-gate.ts';
import type { TransportState } from './transport.ts';

/** The state of a transport that is not closed. @param connections `all`: in whatever state */
export function stateOf(
  gate: ConnectGate,
  connections: { readonly open: number; readonly all: number },
  nowMs: number,
): TransportState {
  if (gate.pause !== undefined) return { kind: 'paused', ...gate.pause };
  if (connections.open > 0) return { kind: 'open', connections: connections.open };
  if (connections.all > 0) return { kind: 'connecting', attempt: gate.failures + 1 };
  const delayMs = gate.delayMs(nowMs);
  if (delayMs === 0 || gate.failures === 0) return { kind: 'idle' };
  return { kind: 'backing-off', untilMs: nowMs + delayMs, cause: gate.cause };
}
