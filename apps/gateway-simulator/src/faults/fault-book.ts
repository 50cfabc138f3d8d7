import { ActiveRule } from './active-rule.ts';
import type { FaultRule, PortName } from './fault-schema.ts';

type RuleOn<P extends PortName> = Extract<FaultRule, { on: P }>;
export type FaultsListener = () => unknown;

/** The rules in force, in the order in which they were posted. */
export class FaultBook {
  readonly #now: () => number;
  readonly #listeners = new Set<FaultsListener>();
  #rules: readonly ActiveRule[] = [];
  #lastId = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get rules(): readonly ActiveRule[] {
    return this.#rules;
  }

  /** Takes all rules away, and with them what they hold, and puts these in their place. */
  async replace(rules: readonly FaultRule[]): Promise<void> {
    this.#rules = rules.map((rule) => this.#activate(rule));
    await this.#changed();
  }

  async add(rules: readonly FaultRule[]): Promise<void> {
    this.#rules = [...this.#rules, ...rules.map((rule) => this.#activate(rule))];
    await this.#changed();
  }

  /** The rules of a port that are for this connection, whether in force or not. */
  forConnection<P extends PortName>(
    port: P,
    connection: number,
    app: string | undefined,
  ): ActiveRule<RuleOn<P>>[] {
    return this.forPort(port).filter((active) => active.appliesTo(connection, app));
  }

  forPort<P extends PortName>(port: P): ActiveRule<RuleOn<P>>[] {
    return this.#rules.filter((active): active is ActiveRule<RuleOn<P>> => active.rule.on === port);
  }

  /** Calls the listener after every change; `replace` and `add` wait for it. Returns the way to take it back. */
  onChange(listener: FaultsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #activate(rule: FaultRule): ActiveRule {
    this.#lastId += 1;
    return new ActiveRule(this.#lastId, rule, this.#now);
  }

  async #changed(): Promise<void> {
    await Promise.all([...this.#listeners].map(async (listener) => listener()));
  }
}
