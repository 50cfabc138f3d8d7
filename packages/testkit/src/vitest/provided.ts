// The keys of `inject` that the global set-ups beside this file provide.
declare module 'vitest' {
  interface ProvidedContext {
    /** A running Redis, with its password. */
    redisUrl: string;
    /** What the keys of this package's tests begin with; test files that run at once add a part of their own. */
    redisPrefix: string;
    /** An empty database on a running Postgres, with its password. */
    databaseUrl: string;
  }
}

export {};
