import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryConnection } from './binary/binary-connection.ts';
import { createControlApi } from './control/control-api.ts';
import { FaultBook } from './faults/fault-book.ts';
import { FeedbackService } from './feedback/feedback-service.ts';
import { FeedbackStore } from './feedback/feedback-store.ts';
import { ChannelStore } from './http2/channels/channel-store.ts';
import { openHttp2Gateway } from './http2/http2-gateway.ts';
import { ProviderTokenVerifier } from './http2/provider-token-verifier.ts';
import { Ledger } from './ledger/ledger.ts';
import { NotificationLog } from './ledger/notification-log.ts';
import type { SimulatorOptions } from './options.ts';
import { ProviderKeys } from './tls/provider-keys.ts';
import { TlsDirectory } from './tls/tls-directory.ts';
import { openTlsPort } from './tls/tls-port.ts';

export interface Simulator {
  readonly binaryPort: number;
  readonly feedbackPort: number;
  readonly http2Port: number;
  readonly controlPort: number;
  readonly tlsDir: string;
  /** Cuts every connection, and removes the certificates when they were temporary. */
  close(): Promise<void>;
}

/** How long a client that has been told to go may stay, milliseconds. As long as nginx lingers. */
const usualLingerMs = 5_000;

/**
 * Opens all ports of a simulator.
 * @throws TlsDirectoryError, and Node's listen errors with the flag of the port in the message.
 */
export async function openSimulator(
  options: SimulatorOptions,
  lingerMs: number = usualLingerMs,
): Promise<Simulator> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const tlsDir = options.tlsDir ?? (await mkdtemp(join(tmpdir(), 'pushfleet-simulator-')));
    if (options.tlsDir === undefined) closers.push(async () => rm(tlsDir, { recursive: true, force: true }));
    const tlsDirectory = await TlsDirectory.open(tlsDir, options.serverNames, options.topic);
    const providerKeys = await ProviderKeys.open(tlsDir);

    const ledger = new Ledger(options.maxUnique);
    const log = new NotificationLog(options.recordLimit);
    const faults = new FaultBook();
    const feedback = new FeedbackStore();
    const { environment, tokenSizes, tokenUpdateIntervalMs: updateIntervalMs } = options;
    const verifier = new ProviderTokenVerifier({
      keys: () => providerKeys.all,
      environment,
      updateIntervalMs,
    });
    const channels = new ChannelStore();
    const feedbackService = new FeedbackService(feedback, faults, lingerMs);
    const shared = {
      host: options.host,
      identity: tlsDirectory.server,
      environment,
      faults,
    };
    const open = async <T extends { close(): Promise<unknown> }>(
      flag: string,
      opening: Promise<T>,
    ): Promise<T> => {
      const opened = await withFlag(flag, opening);
      closers.push(async () => opened.close());
      return opened;
    };

    const binary = await open(
      'binary-port',
      openTlsPort({
        ...shared,
        name: 'binary',
        port: options.binaryPort,
        onLink: (link) => void new BinaryConnection(link, { ledger, log, faults, tokenSizes, lingerMs }),
      }),
    );
    const feedbackPort = await open(
      'feedback-port',
      openTlsPort({
        ...shared,
        name: 'feedback',
        port: options.feedbackPort,
        onLink: (link) => void feedbackService.serve(link),
      }),
    );
    const http2 = await open(
      'http2-port',
      openHttp2Gateway({
        ...shared,
        port: options.http2Port,
        ...{ ledger, log, verifier, channels, tokenSizes, lingerMs },
        maxStreams: options.maxStreams,
        oneStreamUntilToken: options.oneStreamUntilToken,
      }),
    );
    const ports = [binary, feedbackPort, http2];
    const control = createControlApi({
      ...{ ledger, log, faults, feedback, ports, tlsDirectory, providerKeys, verifier, channels },
    });
    closers.push(async () => control.close());
    await withFlag('control-port', control.listen({ host: options.host, port: options.controlPort }));
    return {
      binaryPort: binary.port,
      feedbackPort: feedbackPort.port,
      http2Port: http2.port,
      controlPort: (control.server.address() as AddressInfo).port,
      tlsDir,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function withFlag<T>(flag: string, listening: Promise<T>): Promise<T> {
  try {
    return await listening;
  } catch (cause) {
    throw new Error(`--${flag}: ${(cause as Error).message}`, { cause });
  }
}
