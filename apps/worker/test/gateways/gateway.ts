/** What a gateway needs to be one. */
export interface GatewayIdentity {
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string };
  /** PEM of the authority of the clients' certificates. */
  readonly ca: string;
}

export interface Gateway {
  readonly port: number;
  /** Ends every connection without a word. */
  hangUp(): void;
  /** Breaks every connection, and refuses new ones until `listen`. */
  refuse(): void;
  listen(): void;
  close(): Promise<void>;
}
