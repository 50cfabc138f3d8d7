import { maxBatchNotifications } from '@pushfleet/push-queue';
import type { Devices } from '@pushfleet/token-store';
import { Problem } from '../http/problem.ts';

/** A notification to a user, or to a device. */
export interface Target {
  readonly userId?: string | undefined;
  readonly token?: string | undefined;
}

/** What goes to whom, with the devices that are the users' now. */
export interface BoundUsers<T> {
  readonly notifications: (Omit<T, 'userId' | 'token'> & { readonly token: string })[];
  readonly usersWithoutDevices: string[];
}

/** The users of a request, each once, in its order. */
export function usersOf(notifications: readonly Target[]): string[] {
  return [...new Set(notifications.flatMap(({ userId }) => userId ?? []))];
}

/** Looks up the devices of users. @throws Problem `invalid-notification` where they are too many, TokenStoreError */
export async function bindUsers<T extends Target>(
  devices: Devices,
  app: string,
  notifications: readonly T[],
): Promise<BoundUsers<T>> {
  const users = usersOf(notifications);
  const found = Map.groupBy(
    // One more than may be sent is enough to know that it is too many.
    await devices.findTokensOfUsers(app, users, maxBatchNotifications + 1),
    ({ userId }) => userId,
  );
  // Before they are made: a user may be named again and again.
  const count = notifications.reduce(
    (sum, { userId }) => sum + (userId === undefined ? 1 : (found.get(userId)?.length ?? 0)),
    0,
  );
  if (count > maxBatchNotifications) throw tooMany();
  return {
    notifications: notifications.flatMap(({ userId, token, ...notification }) =>
      userId === undefined
        ? [{ ...notification, token: token! }]
        : (found.get(userId) ?? []).map((device) => ({ ...notification, token: device.token })),
    ),
    usersWithoutDevices: users.filter((user) => !found.has(user)),
  };
}

function tooMany(): Problem {
  const message = `stands for more than ${maxBatchNotifications} devices together, which is what fits in one request`;
  return new Problem('invalid-notification', `userId: ${message}`, {
    errors: [{ field: 'userId', message }],
  });
}
