import type { ServerHttp2Stream } from 'node:http2';
import { ContentKey } from '../ledger/content-key.ts';
import type { AppLedger, Ledger } from '../ledger/ledger.ts';
import type { LoggedNotification, NotificationLog } from '../ledger/notification-log.ts';
import { answerRejected, answerTaken, type Rejection } from './answers.ts';
import { toLogEntry } from './push-log-entry.ts';
import type { PushRequest } from './push-request.ts';

/** A notification on its stream. */
export interface Push {
  readonly stream: ServerHttp2Stream;
  readonly request: PushRequest;
  readonly app: string;
}

/** Puts down what becomes of the notifications of one connection, and answers them. */
export class PushSettlement {
  readonly #ledger: Ledger;
  readonly #log: NotificationLog;
  readonly #connection: number;
  readonly #content = new ContentKey();

  /** @param connection Its number at the port. */
  constructor(ledger: Ledger, log: NotificationLog, connection: number) {
    this.#ledger = ledger;
    this.#log = log;
    this.#connection = connection;
  }

  take(push: Push): void {
    this.#count(push, this.#ledger.app(push.app));
    answerTaken(push.stream, push.request);
  }

  /** @param answer With status 200 it is taken all the same. */
  reject(push: Push, answer: Rejection): void {
    const { status, reason } = answer;
    if (status === 200) {
      this.take(push);
      return;
    }
    this.#ledger.app(push.app).counts.rejected += 1;
    if (this.#log.isOpen) {
      this.#record(push, { outcome: 'rejected', status, ...(reason === undefined ? {} : { reason }) });
    }
    answerRejected(push.stream, push.request, answer);
  }

  /** Of what the client hears nothing of, or only that its stream is gone. */
  unheard(push: Push, taken: boolean): void {
    const app = this.#ledger.app(push.app);
    if (taken) {
      this.#count(push, app);
      return;
    }
    app.counts.discarded += 1;
    if (this.#log.isOpen) this.#record(push, { outcome: 'discarded' });
  }

  #count(push: Push, app: AppLedger): void {
    const { bytes, tokenLength, payloadLength } = push.request;
    this.#content.read(bytes, 0, tokenLength, tokenLength, payloadLength);
    const duplicate = app.take(this.#content.low, this.#content.high);
    if (this.#log.isOpen) this.#record(push, { outcome: 'received', duplicate });
  }

  #record(
    { request, app }: Push,
    result: Pick<LoggedNotification, 'outcome' | 'status' | 'duplicate' | 'reason'>,
  ): void {
    this.#log.append({ ...toLogEntry(request), app, connection: this.#connection, ...result });
  }
}
