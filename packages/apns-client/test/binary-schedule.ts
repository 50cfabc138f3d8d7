import { expect } from 'vitest';
import { type ResolvedOptions, resolveOptions } from '../src/binary/options.ts';
import { buildBinaryTransport } from '../src/binary/protocol.ts';
import type { BinaryTransportOptions, Transport } from '../src/index.ts';
import { FakeGateway, type FakeSocket } from './fake-gateway.ts';
import type { RecordedRun, RunContent } from './recorded-run.ts';
import { type CommonStep, Schedule } from './schedule.ts';
import { TestCredential } from './test-credential.ts';

export type BinaryStep =
  | CommonStep
  | { readonly do: 'renew' }
  | { readonly do: 'refuseNext'; readonly socket: number; readonly status: number }
  | {
      readonly do: 'accept' | 'take' | 'read' | 'close' | 'break' | 'failWrites' | 'shutDown' | 'sayUnknown';
      readonly socket: number;
    };

export class BinarySchedule extends Schedule<BinaryStep, FakeSocket> {
  readonly gateway = new FakeGateway();
  readonly credential = new TestCredential({ cert: '', key: '' });
  readonly transport: Transport;
  readonly options: ResolvedOptions;

  constructor(
    options: Partial<BinaryTransportOptions> & {
      readonly firstIdentifier?: number;
      readonly shortestStretch?: number;
    } = {},
  ) {
    super();
    this.options = {
      ...resolveOptions({
        host: 'gateway.test',
        port: 2195,
        credential: this.credential,
        confirm: 'proved',
        confirmAfterMs: 1_000,
        rotationFloorMs: 500,
        clock: this.clock,
        observer: this.observed.observer,
        ...options,
      }),
      ...(options.firstIdentifier === undefined ? {} : { firstIdentifier: options.firstIdentifier }),
      ...(options.shortestStretch === undefined ? {} : { shortestStretch: options.shortestStretch }),
      openSocket: this.gateway.openSocket,
    };
    this.transport = buildBinaryTransport(this.options);
  }

  override submit(count: number, invalid?: readonly number[], content?: Partial<RunContent>): RecordedRun {
    const index = this.runs.length;
    const run = super.submit(count, invalid, content);
    for (let position = 0; position < count; position++) {
      this.gateway.places.set(run.token(position), { run: index, position });
    }
    return run;
  }

  protected override act(next: BinaryStep): void {
    switch (next.do) {
      case 'submit':
      case 'advance':
      case 'flow':
      case 'deliver':
        this.actAlike(next);
        break;
      case 'renew':
        this.credential.renew({ cert: '', key: '' });
        break;
      case 'sayUnknown':
        this.socket(next.socket)?.say(8, 0);
        break;
      case 'refuseNext':
        this.socket(next.socket)?.refuseNext(next.status);
        break;
      default:
        this.socket(next.socket)?.[next.do]();
    }
  }

  override async turn(): Promise<void> {
    await Promise.resolve();
  }

  expectAllTaken(): void {
    for (const run of this.runs) {
      for (let position = 0; position < run.columns.count; position++) {
        expect(this.gateway.taken.get(run.token(position))).toBe(1);
      }
    }
  }
}
