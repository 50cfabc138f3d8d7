// What is kept with an idempotency key, so that a repeated request is answered as the first was: whether it was to go out
// later, and which of its users had no device. The request names the users again, so a bit for each is enough.

export interface UsersNote {
  readonly isScheduled: boolean;
  readonly usersWithoutDevices: readonly string[];
}

/** @param users Of the request, each once, in its order. Undefined: there is nothing to keep. */
export function formatUsersNote(
  { isScheduled, usersWithoutDevices }: UsersNote,
  users: readonly string[],
): string | undefined {
  if (!isScheduled && usersWithoutDevices.length === 0) return undefined;
  const without = new Set(usersWithoutDevices);
  const bits = Buffer.alloc(without.size === 0 ? 0 : Math.ceil(users.length / 8));
  for (const [place, user] of users.entries()) {
    if (without.has(user)) bits[place >> 3]! |= 1 << (place & 7);
  }
  return `${isScheduled ? 's' : 'u'}${bits.toString('base64url')}`;
}

export function parseUsersNote(note: string | undefined, users: readonly string[]): UsersNote {
  if (note === undefined) return { isScheduled: false, usersWithoutDevices: [] };
  const bits = Buffer.from(note.slice(1), 'base64url');
  return {
    isScheduled: note.startsWith('s'),
    usersWithoutDevices: users.filter((_, place) => ((bits[place >> 3] ?? 0) & (1 << (place & 7))) !== 0),
  };
}
