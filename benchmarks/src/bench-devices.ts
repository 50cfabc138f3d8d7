import { createHash } from 'node:crypto';
import type { DeviceToken } from '@pushfleet/token-store';

// Devices by number, the same in SQL and here: a table of millions needs no list of its tokens.

/** SQL of the token of device `i`. */
export const benchDeviceTokenSql = `decode(md5('a' || i) || md5('b' || i), 'hex')`;

export function benchDeviceToken(device: number): DeviceToken {
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');
  return (md5(`a${device}`) + md5(`b${device}`)) as DeviceToken;
}
