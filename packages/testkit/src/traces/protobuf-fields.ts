/** One field of a protobuf message. `varint` and `fixed64` hold numbers, `bytes` holds everything with a length. */
export type ProtobufField =
  | { readonly kind: 'varint' | 'fixed64'; readonly number: number; readonly value: bigint }
  | { readonly kind: 'bytes'; readonly number: number; readonly value: Buffer };

/** The fields of a message, in their order. @throws RangeError when it is cut short, Error for wire types not known here */
export function* protobufFields(message: Buffer): Generator<ProtobufField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { kind: 'varint', number, value: varint() };
        break;
      case 1:
        yield { kind: 'fixed64', number, value: message.readBigUInt64LE(at) };
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        if (at + length > message.length) throw new RangeError('the message is cut short');
        yield { kind: 'bytes', number, value: message.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new Error(`wire type ${tag & 7} is not known here`);
    }
  }
}
