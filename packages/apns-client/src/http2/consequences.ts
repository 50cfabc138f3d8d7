import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';
import { acceptedAs, rejectedBy, retryableBy } from '../transport/verdicts.ts';
import type { Access, AccessDecision } from './access.ts';
import { type AnswerMeaning, type CredentialAction, isAboutCredential } from './answer-policy.ts';
import type { Backlog } from './backlog.ts';
import type { Http2Connection } from './connection.ts';
import type { ResolvedHttp2Options } from './options.ts';
import type { RefusedTopics } from './refused-topics.ts';
import type { Http2Run } from './run.ts';
import type { OpenStream } from './stream-table.ts';

/**
 * Does what follows from an answer of the gateway: for its notification, for its connection, and for whether the transport
 * may send. What an answer means is a table (answer-policy.ts).
 */
export class Consequences {
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #backlog: Backlog;
  readonly #refusedTopics: RefusedTopics;

  constructor(options: ResolvedHttp2Options, access: Access, backlog: Backlog, refusedTopics: RefusedTopics) {
    this.#options = options;
    this.#access = access;
    this.#backlog = backlog;
    this.#refusedTopics = refusedTopics;
  }

  /** 200 for a range. */
  accepted(run: Http2Run, from: number, to: number): void {
    this.#access.decided();
    if (this.#refusedTopics.size > 0) {
      for (let position = from; position < to; position++) {
        this.#refusedTopics.allow(run.headers.topic(position));
      }
    }
    run.settled(from, to, acceptedAs.proved);
  }

  /** Any answer but 200. */
  judged(connection: Http2Connection, stream: OpenStream, { action, answer }: AnswerMeaning): AccessDecision {
    if (isAboutCredential(action)) return this.#refuseCredential(connection, stream, action, answer.reason);
    const { run, position } = stream;
    const isServerError = answer.status >= 500;
    if (action !== 'foreign' && !isServerError) this.#access.decided();
    switch (action) {
      case 'topic-refused':
        return this.#refuseTopic(connection, stream, answer);
      case 'reject':
        run.settled(position, position + 1, rejectedBy(answer));
        return 'go-on';
      case 'retry':
        run.settled(position, position + 1, retryableBy(answer));
        return 'go-on';
      case 'retry-elsewhere':
        run.settled(position, position + 1, retryableBy(answer));
        if (isServerError && connection.isOpen) this.#access.failed(answer.reason);
        connection.leave('error-response', answer.reason);
        return 'go-on';
      case 'foreign':
        run.settled(position, position + 1, retryableBy(answer));
        connection.doubt('foreign-answers', `${answer.status} without the gateway's own body`);
        return 'go-on';
      default:
        return action satisfies never;
    }
  }

  /** The answer to a probe; undefined: 200. */
  probed(
    connection: Http2Connection,
    stream: OpenStream,
    meaning: AnswerMeaning | undefined,
  ): AccessDecision {
    const result = this.#access.judgeProbe(stream, meaning);
    if (result === 'lifted' || meaning === undefined) return 'go-on';
    const { action, answer } = meaning;
    if (result === 'refused') connection.leave('credential-refused', answer.reason);
    else {
      connection.leave(
        action === 'foreign' ? 'foreign-answers' : 'gateway-errors',
        `the probe was answered with ${answer.status}`,
      );
    }
    return 'pause';
  }

  /** The credential is refused, which the notification cannot help. */
  #refuseCredential(
    connection: Http2Connection,
    stream: OpenStream,
    action: CredentialAction,
    reason: string,
  ): AccessDecision {
    this.#backlog.sendAgain(stream);
    // Requests that were under way when the first was refused say nothing new, unless they pause.
    const isNews = connection.noteRefusal() || action === 'pause';
    const decision = isNews ? this.#access.judgeRefusal(action, reason, stream.authorization) : 'go-on';
    connection.leave(action === 'pause' ? 'credential-refused' : 'error-response', reason);
    return decision;
  }

  /** The app's own topic is refused: the transport pauses. The topic of a push type alone: its notifications are put off. */
  #refuseTopic(connection: Http2Connection, stream: OpenStream, answer: GatewayAnswer): AccessDecision {
    const { run, position } = stream;
    const topic = run.headers.topic(position);
    if (topic !== this.#options.topic) {
      const refusal = this.#refusedTopics.refuse(topic, answer, this.#options.clock.now());
      run.settled(position, position + 1, retryableBy(refusal));
      return 'go-on';
    }
    this.#backlog.sendAgain(stream);
    this.#access.lost(answer.reason, 'topic');
    connection.leave('error-response', answer.reason);
    return 'pause';
  }
}
