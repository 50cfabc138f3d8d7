/** A bulk backlog never delays the transactional lane. Order is precedence. */
export const lanes = ['transactional', 'bulk'] as const;
export type Lane = (typeof lanes)[number];

/** A value for each lane: a lane that is added has one by itself. */
export function byLane<Value>(create: (lane: Lane) => Value): Record<Lane, Value> {
  const values: Partial<Record<Lane, Value>> = {};
  for (const lane of lanes) values[lane] = create(lane);
  return values as Record<Lane, Value>;
}
