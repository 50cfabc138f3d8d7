/** A bulk backlog never delays the transactional lane. Order is precedence. */
export const lanes = ['transactional', 'bulk'] as const;
export type Lane = (typeof lanes)[number];
