import { expect } from 'vitest';
import { type Http2TransportOptions, resolveHttp2Options } from '../src/http2/options.ts';
import { buildHttp2Transport } from '../src/http2/protocol.ts';
import type { ProviderTokens, Transport } from '../src/index.ts';
import { FakeHttp2Gateway, type FakeHttp2Socket, type Service } from './fake-http2-gateway.ts';
import { type CommonStep, Schedule } from './schedule.ts';

/** What one socket or the gateway behind it does. */
export const acts = [
  'accept',
  'take',
  'read',
  'answer',
  'fail',
  'hang',
  'refuse',
  'resetStream',
  'goAway',
  'ping',
  'deafen',
  'close',
  'break',
  'failWrites',
] as const;

export type Http2Step =
  | CommonStep
  | { readonly do: 'renewToken' | 'expireToken' | 'refuseCredential' }
  | { readonly do: 'refuseTopic'; readonly topic: string }
  | { readonly do: 'submitVoip'; readonly count: number }
  | { readonly do: 'serve'; readonly socket: number; readonly service: Service }
  | { readonly do: 'limit'; readonly socket: number; readonly streams: number }
  | { readonly do: 'narrow'; readonly socket: number; readonly window: number }
  | { readonly do: (typeof acts)[number]; readonly socket: number };

/** Signs a token whenever it is asked to. */
class FleetTokens implements ProviderTokens {
  number = 1;
  #listener = (): void => undefined;

  current(): string {
    return `token-${this.number}`;
  }

  async refresh(): Promise<void> {}

  async expired(jwt: string): Promise<boolean> {
    if (jwt === this.current()) this.renew();
    return true;
  }

  tooManyUpdates(): void {}

  onChange(listener: () => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  renew(): void {
    this.number += 1;
    this.#listener();
  }
}

export class Http2Schedule extends Schedule<Http2Step, FakeHttp2Socket> {
  readonly gateway = new FakeHttp2Gateway();
  readonly tokens = new FleetTokens();
  readonly transport: Transport;

  constructor({ firstLimit, ...options }: Partial<Http2TransportOptions> & { readonly firstLimit: number }) {
    super();
    this.gateway.firstLimit = firstLimit;
    this.transport = buildHttp2Transport({
      ...resolveHttp2Options({
        host: 'gateway.test',
        port: 443,
        topic: 'com.example.shop',
        authentication: { kind: 'token', tokens: this.tokens },
        clock: this.clock,
        observer: this.observed.observer,
        ...options,
      }),
      openSocket: this.gateway.openSocket,
    });
  }

  protected override act(next: Http2Step): void {
    switch (next.do) {
      case 'submit':
      case 'advance':
      case 'flow':
      case 'deliver':
        this.actAlike(next);
        break;
      case 'renewToken':
        this.tokens.renew();
        break;
      case 'expireToken':
        this.gateway.expired.add(`bearer ${this.tokens.current()}`);
        break;
      case 'refuseCredential':
        this.gateway.refusesCredential = !this.gateway.refusesCredential;
        break;
      case 'refuseTopic':
        if (!this.gateway.refusedTopics.delete(next.topic)) this.gateway.refusedTopics.add(next.topic);
        break;
      case 'submitVoip':
        this.submit(next.count, [], { http2: { pushType: 'voip' } });
        break;
      case 'serve': {
        const socket = this.socket(next.socket);
        if (socket !== undefined) socket.service = next.service;
        break;
      }
      case 'limit':
        this.socket(next.socket)?.limit(next.streams);
        break;
      case 'narrow':
        this.socket(next.socket)?.narrow(next.window);
        break;
      default:
        this.socket(next.socket)?.[next.do]();
    }
  }

  /** A token is signed in between. */
  override async turn(): Promise<void> {
    for (let times = 0; times < 4; times++) await Promise.resolve();
  }

  override async calm(until: () => boolean): Promise<void> {
    this.gateway.refusesCredential = false;
    this.gateway.refusedTopics.clear();
    this.gateway.firstLimit = 100;
    for (const each of this.gateway.live) {
      each.service = 'well';
      each.limit(100);
      each.narrow(65_535);
    }
    await super.calm(until);
  }

  override expectIdentity(): void {
    expect(this.gateway.breaches).toEqual([]);
    super.expectIdentity();
    // A 200 is a proof.
    expect(this.runs.flatMap(({ sums }) => sums.presumed ?? [])).toEqual([]);
  }
}
