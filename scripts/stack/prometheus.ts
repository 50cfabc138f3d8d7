/** Asks Prometheus. */
export class PrometheusClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** The values of an instant query, by their labels in JSON. */
  async query(expr: string): Promise<Map<string, number>> {
    const answer = await fetch(
      `${this.#url}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`,
      {
        signal: AbortSignal.timeout(30_000),
      },
    );
    const body = (await answer.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data?: { readonly result: readonly { metric: object; value: readonly [number, string] }[] };
    };
    if (body.status !== 'success' || body.data === undefined) throw new Error(`${expr}: ${body.error}`);
    return new Map(body.data.result.map(({ metric, value }) => [JSON.stringify(metric), Number(value[1])]));
  }

  /** Asks again until the values are as they should be; gives the last ones. */
  async queryUntil(
    expr: string,
    isRight: (values: ReadonlyMap<string, number>) => boolean,
    timeoutMs: number,
  ): Promise<Map<string, number>> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const values = await this.query(expr);
      if (isRight(values) || Date.now() > deadline) return values;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}
