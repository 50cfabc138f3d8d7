import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'oxc-parser';
import { expect, test } from 'vitest';

// A getter, and a method whose name asks (`isX`, `hasX`, `mayX`, `canX`, `shouldX`, `needsX`, `xOf`, `xFor`), only looks:
// it changes nothing of its object, in its own body or through another method of the class. A function whose name asks changes
// nothing that it did not make. What is filled in at the first question (`??=`) is no change.

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Node {
  readonly type: string;
  readonly start: number;
  // biome-ignore lint/suspicious/noExplicitAny: ESTree, of which a few kinds are looked at.
  readonly [field: string]: any;
}

const mutators = new Set(
  'push pop shift unshift splice sort reverse fill set add delete clear copyWithin append resolve'.split(' '),
);
const asking = /^#?(?:(?:is|has|may|can|should|needs)(?=[A-Z]|$)|.*(?:Of|For)$)/;

/** A node, and those in it that `isMeant` lets through with theirs. */
function* walk(node: unknown, isMeant: (node: Node, parent: Node) => boolean = () => true): Generator<Node> {
  if (Array.isArray(node)) {
    for (const each of node) yield* walk(each, isMeant);
  } else if (typeof node === 'object' && node !== null && 'type' in node) {
    yield node as Node;
    for (const child of Object.values(node as Record<string, Node | undefined>).flat()) {
      if (child?.type !== undefined && isMeant(child, node as Node)) yield* walk(child, isMeant);
    }
  }
}

const isFunction = ({ type }: Node): boolean => /Function/.test(type);

/** What runs with a body: not what functions do that it returns, alone or in an object. */
const runs = (node: Node, parent: Node): boolean =>
  !(isFunction(node) && ['Property', 'ReturnStatement'].includes(parent.type));

/** `this.x`, `this.#x` and what hangs on it; undefined: it does not belong to the object. */
function ownField(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (node.type === 'TSNonNullExpression' || node.type === 'ChainExpression')
    return ownField(node.expression);
  if (node.type !== 'MemberExpression') return undefined;
  if (node.object.type !== 'ThisExpression') return ownField(node.object);
  return nameOf(node.property);
}

function nameOf(key: Node): string {
  return key.type === 'PrivateIdentifier' ? `#${key.name}` : (key.name ?? key.value);
}

interface Member {
  readonly name: string;
  readonly isGetter: boolean;
  readonly line: number;
  /** How it changes the object by itself; undefined: not. */
  readonly change: string | undefined;
  /** Other members of the class that it uses. */
  readonly uses: readonly string[];
}

function readMember(source: string, node: Node): Member {
  let change: string | undefined;
  const uses: string[] = [];
  for (const each of walk(node.value.body, runs)) {
    if (each.type === 'AssignmentExpression' && each.operator !== '??=') {
      const field = ownField(each.left);
      if (field !== undefined) change ??= `sets ${field}`;
    } else if (
      each.type === 'UpdateExpression' ||
      (each.type === 'UnaryExpression' && each.operator === 'delete')
    ) {
      const field = ownField(each.argument);
      if (field !== undefined) change ??= `changes ${field}`;
    } else if (each.type === 'CallExpression' && each.callee.type === 'MemberExpression') {
      const field = ownField(each.callee.object);
      const method = nameOf(each.callee.property);
      if (field !== undefined && mutators.has(method)) change ??= `calls ${field}.${method}`;
    }
    if (each.type === 'MemberExpression' && each.object.type === 'ThisExpression')
      uses.push(nameOf(each.property));
  }
  return {
    name: nameOf(node.key),
    isGetter: node.kind === 'get',
    line: lineOf(source, node.start),
    change,
    uses,
  };
}

/** How a member changes its object, by itself or through others; undefined: not. */
function changeBy(
  member: Member,
  members: ReadonlyMap<string, Member>,
  seen = new Set<string>(),
): string | undefined {
  if (member.change !== undefined) return member.change;
  seen.add(member.name);
  for (const use of member.uses) {
    const other = members.get(use);
    if (other === undefined || seen.has(use)) continue;
    const change = changeBy(other, members, seen);
    if (change !== undefined) return `uses ${use}, which ${change}`;
  }
  return undefined;
}

/** What a place is part of: the name that an expression like `a.b[0].c` begins with. */
function rootOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name;
  if (node.type === 'TSNonNullExpression') return rootOf(node.expression);
  return node.type === 'MemberExpression' ? rootOf(node.object) : undefined;
}

/** Functions, declared or assigned to a constant, by name. */
function* functionsIn(program: Node): Generator<{ name: string; body: Node; at: number }> {
  for (const node of walk(program)) {
    if (node.type === 'FunctionDeclaration' && node.id !== null && node.body !== null)
      yield { name: node.id.name, body: node.body, at: node.start };
    if (node.type === 'VariableDeclarator' && node.init?.type === 'ArrowFunctionExpression')
      yield { name: node.id.name, body: node.init.body, at: node.start };
  }
}

/** What a function changes that it did not make. */
function* changesBy(body: Node): Generator<string> {
  const made = new Set<string>();
  for (const node of walk(body)) {
    if (node.type !== 'VariableDeclarator') continue;
    for (const part of walk(node.id)) if (part.type === 'Identifier') made.add(part.name);
  }
  for (const node of walk(body, runs)) {
    const place =
      node.type === 'AssignmentExpression' && node.operator !== '??='
        ? node.left
        : node.type === 'UpdateExpression' || (node.type === 'UnaryExpression' && node.operator === 'delete')
          ? node.argument
          : undefined;
    const name = place === undefined ? undefined : rootOf(place);
    if (name !== undefined && !made.has(name)) yield `changes ${name}`;
  }
}

function functionDefects(file: string, source: string, program: Node): string[] {
  return [...functionsIn(program)].flatMap(({ name, body, at }) => {
    const change = asking.test(name) ? changesBy(body).next().value : undefined;
    return change === undefined ? [] : [`${file}:${lineOf(source, at)} ${name} ${change}`];
  });
}

const lineOf = (source: string, at: number): number => source.slice(0, at).split('\n').length;

function classDefects(file: string, source: string, program: Node): string[] {
  return [...walk(program)].flatMap((node) => {
    if (node.type !== 'ClassBody') return [];
    const methods = (node.body as Node[]).filter(
      ({ type, kind, value }) => type === 'MethodDefinition' && kind !== 'constructor' && value.body !== null,
    );
    const read = methods.map((each) => readMember(source, each));
    const members = new Map(read.map((member) => [member.name, member]));
    return read
      .filter(({ name, isGetter }) => isGetter || asking.test(name))
      .flatMap((member) => {
        const change = changeBy(member, members);
        return change === undefined ? [] : [`${file}:${member.line} ${member.name} ${change}`];
      });
  });
}

function defectsOf(file: string, source: string): string[] {
  const program = parseSync(file, source).program as unknown as Node;
  return [...classDefects(file, source, program), ...functionDefects(file, source, program)];
}

test('getters and methods whose name asks change nothing', { timeout: 120_000 }, () => {
  const files = globSync(
    ['apps/*/src/**/*.ts', 'packages/*/src/**/*.ts', 'benchmarks/src/**/*.ts', 'ops/**/*.ts'],
    {
      cwd: root,
      exclude: ['**/node_modules/**', '**/dist/**'],
    },
  );
  expect(files.length).toBeGreaterThan(400);
  const defects = files.flatMap((file) => defectsOf(file, readFileSync(join(root, file), 'utf8')));
  expect(defects).toEqual([]);
});

test.each([
  ['a getter that builds', 'class A { #b = 0; get b() { return ++this.#b; } }', ['a.ts:1 b changes #b']],
  [
    'a question that acts through another method',
    'class A { #list = []; isFull() { return this.#add() > 1; } #add() { return this.#list.push(1); } }',
    ['a.ts:1 isFull uses #add, which calls #list.push'],
  ],
  [
    'a question that only looks',
    'class A { #b = 0; isFull() { let c = this.#b; c += 1; return c > 1; } }',
    [],
  ],
  ['a memory', 'class A { #b; get b() { return (this.#b ??= 1); } }', []],
  ['what is returned and not run', 'class A { b = 0; get c() { return { d: () => { this.b = 1; } }; } }', []],
  [
    'a function that counts',
    'let n = 0; function isNext() { n += 1; return n > 1; }',
    ['a.ts:1 isNext changes n'],
  ],
])('%s', (_name, source, defects) => {
  expect(defectsOf('a.ts', source)).toEqual(defects);
});
