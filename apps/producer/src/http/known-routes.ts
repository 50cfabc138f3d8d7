import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

/** The routes that there are, for answers to requests that none of them takes. */
export class KnownRoutes {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  /** Knows the routes that are added afterwards. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method }) => {
      const known = this.#methods.get(url) ?? { pattern: patternOf(url), methods: new Set() };
      for (const each of [method].flat()) known.methods.add(each);
      this.#methods.set(url, known);
    });
  }

  /** Says nothing of the path: it may hold a token. */
  problemOf(method: string, url: string): Problem {
    const path = url.split('?', 1)[0]!;
    const allow = new Set<string>();
    for (const { pattern, methods } of this.#methods.values()) {
      if (pattern.test(path)) for (const each of methods) allow.add(each);
    }
    if (allow.size === 0) return new Problem('no-route', 'there is no such route; /openapi.json lists them');
    const names = [...allow].toSorted();
    return new Problem('method-not-allowed', `the route takes ${names.join(', ')}, not ${method}`, {
      allow: names,
    });
  }
}

function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => {
      if (part.startsWith(':')) return '[^/]+';
      return part === '*' ? '.*' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('/');
  return new RegExp(`^${source}$`);
}
