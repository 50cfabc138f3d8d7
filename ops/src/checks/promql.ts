import { parser } from '@prometheus-io/lezer-promql';

/** What is wrong with the syntax of an expression; undefined: nothing. */
export function syntaxProblem(expr: string): string | undefined {
  let problem: string | undefined;
  parser.parse(expr).iterate({
    enter(node) {
      if (!node.type.isError || problem !== undefined) return;
      const near = expr.slice(Math.max(0, node.from - 20), node.to + 20).trim();
      problem = `is not PromQL near "${near}"`;
    },
  });
  return problem;
}

/** The metrics that an expression reads. */
export function metricNames(expr: string): string[] {
  const names = new Set<string>();
  parser.parse(expr).iterate({
    enter(node) {
      if (node.name !== 'VectorSelector') return;
      const identifier = node.node.getChild('Identifier');
      if (identifier !== null) names.add(expr.slice(identifier.from, identifier.to));
    },
  });
  return [...names];
}
