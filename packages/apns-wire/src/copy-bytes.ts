const longestLoop = 512;

/**
 * Copies `length` bytes without allocating. A loop of 8-byte moves beats the call into native code for short runs
 * (tokens, typical payloads: 4 times at 32 bytes); long ones go to `Buffer.copy`.
 *
 * `targetView` and `sourceView` look at the same bytes as `target` and `source`.
 */
export function copyBytes(
  target: Buffer,
  targetView: DataView,
  targetStart: number,
  source: Buffer,
  sourceView: DataView,
  sourceStart: number,
  length: number,
): void {
  if (length > longestLoop) {
    source.copy(target, targetStart, sourceStart, sourceStart + length);
    return;
  }
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    targetView.setBigUint64(targetStart + at, sourceView.getBigUint64(sourceStart + at));
  }
  for (; at < length; at++) targetView.setUint8(targetStart + at, sourceView.getUint8(sourceStart + at));
}

/** A view of exactly the bytes that `bytes` covers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A Buffer over the same memory; `bytes` itself when it is one. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
