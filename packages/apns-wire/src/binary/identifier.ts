// Identifiers number the frames of one connection from 1. Identifier 0 means "which one is unknown"
// (`docs/protocol/binary.md#identifiers`), so the numbers are a ring of 2^32 - 1: after 2^32 - 1 comes 1. Comparing
// is serial-number arithmetic after RFC 1982; since the ring's size is odd, every pair has one shorter way round and
// no pair is ambiguous.

const ringSize = 0xffff_ffff;
const longestWay = (ringSize - 1) / 2;

/** "Which notification is unknown": never the number of a frame. */
export const unknownIdentifier = 0;

/** The number of a connection's first frame. */
export const firstIdentifier = 1;

/** The identifier `steps` frames after `identifier`; negative steps go back. `steps` within ±2^31. */
export function advanceIdentifier(identifier: number, steps: number): number {
  const place = (identifier - 1 + steps) % ringSize;
  return (place < 0 ? place + ringSize : place) + 1;
}

/** The number of the frame after this one. */
export function nextIdentifier(identifier: number): number {
  return identifier === ringSize ? firstIdentifier : identifier + 1;
}

/**
 * Frames from `from` to `to` along the shorter way round: positive when `to` was written later, negative when
 * earlier. Neither may be 0.
 */
export function identifierDistance(from: number, to: number): number {
  const forward = to >= from ? to - from : to - from + ringSize;
  return forward > longestWay ? forward - ringSize : forward;
}
