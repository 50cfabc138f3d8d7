// The one place that decides where tests, benchmarks and the demo take their Redis and Postgres from.
//
// 1. given: REDIS_URL or DATABASE_URL name a server. It is used gently: keys under a prefix of our own, a
//    database of our own, both removed afterwards.
// 2. a container by testcontainers, where an engine answers and has or gets the image; or
// 3. a program on this machine, started privately: redis-server or valkey-server on the PATH, PostgreSQL from its
//    npm package, else from the PATH.
//
// 4. a program installed for the purpose: Redis from Debian's package, as root on Debian or Ubuntu.
//
// Tests try 2 before 3, so that everyone tests against the same versions. The demo tries 3 before 2, which is
// quicker. PUSHFLEET_TEST_SERVICES=containers or =programs forces one of them, whatever else there is.

export type ServiceKind = 'given' | 'container' | 'program';

export interface ServiceDecision<Server> {
  readonly kind: ServiceKind;
  readonly server: Server;
}

export interface ServiceWays<Server> {
  /** What it is called in messages: `Redis`. */
  readonly name: string;
  /** The variable of the environment that may name a server, and what it says. */
  readonly given: { readonly variable: string; readonly url: string | undefined };
  readonly useGiven: (url: string) => Promise<Server>;
  /** `undefined`: no container engine answers. Throws when one does, and no container can be had. */
  readonly openContainer: () => Promise<Server | undefined>;
  /** `undefined`: this machine has no such program. */
  readonly openProgram: () => Promise<Server | undefined>;
  /** The last resort. `undefined`: not on this machine, or not by this account. */
  readonly install?: () => Promise<Server | undefined>;
  /** What to do when no way leads anywhere, a whole sentence. */
  readonly advice: string;
}

export interface DecisionOptions {
  /** Which is tried first where both could be; containers by default. */
  readonly prefer?: 'container' | 'program' | undefined;
  /** Passes over the server that the environment names: for tests that kill it. */
  readonly own?: boolean | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Whether a program may be installed when there is no other way; yes by default. */
  readonly install?: boolean | undefined;
  /** Gets one line about what was decided, and why a better way was not open. Standard error by default. */
  readonly say?: ((line: string) => void) | undefined;
  /** Whether the decision itself is worth a line; yes by default. */
  readonly announce?: boolean | undefined;
}

/** No way to get a server; the message names the ways that would work. */
export class NoServiceError extends Error {
  override readonly name = 'NoServiceError';
}

/** Tries the ways in their order. */
export async function provideService<Server extends { readonly description: string }>(
  ways: ServiceWays<Server>,
  options: DecisionOptions = {},
): Promise<ServiceDecision<Server>> {
  const env = options.env ?? process.env;
  const say = options.say ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const decided = (kind: ServiceKind, server: Server): ServiceDecision<Server> => {
    if (options.announce !== false) say(`${ways.name}: ${server.description}`);
    return { kind, server };
  };

  const forced = readForcedKind(env.PUSHFLEET_TEST_SERVICES);
  if (ways.given.url !== undefined && options.own !== true && forced === undefined)
    return decided('given', await useGiven(ways, ways.given.url));

  const order =
    forced !== undefined
      ? [forced]
      : options.prefer === 'program'
        ? (['program', 'container'] as const)
        : (['container', 'program'] as const);
  const reasons: string[] = [];
  for (const kind of order) {
    if (kind === 'program') {
      const server = await ways.openProgram();
      if (server !== undefined) return decided('program', server);
      reasons.push('no such program was found on this machine');
      continue;
    }
    try {
      const server = await ways.openContainer();
      if (server !== undefined) return decided('container', server);
      reasons.push('no container engine answers');
    } catch (cause) {
      const reason = `a container engine answers, but no container could be had: ${cause instanceof Error ? cause.message : String(cause)}`;
      reasons.push(reason);
      say(`${ways.name}: ${reason}`);
    }
  }
  if (forced !== 'container' && options.install !== false) {
    const server = await ways.install?.();
    if (server !== undefined) return decided('program', server);
  }
  throw new NoServiceError(`There is no ${ways.name}: ${reasons.join('; ')}. ${ways.advice}`);
}

async function useGiven<Server>(
  { name, given: { variable }, useGiven: use }: ServiceWays<Server>,
  url: string,
): Promise<Server> {
  try {
    return await use(url);
  } catch (cause) {
    // Never the URL: it may hold a password.
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NoServiceError(
      `There is no ${name}: the server that ${variable} names cannot be used (${reason}). ` +
        `Correct ${variable}, or unset it to have a private server started.`,
      { cause },
    );
  }
}

function readForcedKind(value: string | undefined): 'container' | 'program' | undefined {
  switch (value) {
    case undefined:
    case '':
    case 'auto':
      return undefined;
    case 'containers':
      return 'container';
    case 'programs':
      return 'program';
    default:
      throw new NoServiceError(`PUSHFLEET_TEST_SERVICES must be auto, containers or programs, not ${value}`);
  }
}
