import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '../log/logger.ts';

/** Logs once when spans cannot be handed over, and when they can be again: a collector that is away is no news each time. */
export class LoggedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #logger: Logger;
  /** Spans dropped since the last success; undefined: the last export succeeded. */
  #dropped: number | undefined;

  constructor(exporter: SpanExporter, logger: Logger) {
    this.#exporter = exporter;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      this.#log(result, spans.length);
      done(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #log({ code, error: err }: ExportResult, spans: number): void {
    if (code === ExportResultCode.SUCCESS) {
      if (this.#dropped !== undefined)
        this.#logger.info({ dropped: this.#dropped }, 'traces are exported again');
      this.#dropped = undefined;
      return;
    }
    if (this.#dropped === undefined) this.#logger.warn({ err }, 'traces cannot be exported and are dropped');
    this.#dropped = (this.#dropped ?? 0) + spans;
  }
}
