// Reads `ExportTraceServiceRequest` of OTLP 1.x as far as tests look at it. Numbers are those of the fields in
// opentelemetry-proto (trace/v1/trace.proto, common/v1/common.proto).

type AttributeValue = string | number | boolean | undefined;
type Attributes = Readonly<Record<string, AttributeValue>>;

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** A span as a collector gets it; ids in hex, times in milliseconds. */
export interface ReceivedSpan {
  readonly service: AttributeValue;
  readonly name: string;
  readonly kind: (typeof kinds)[number];
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: it begins its trace. */
  readonly parentSpanId: string | undefined;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly attributes: Attributes;
  }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
}

export function readOtlpSpans(request: Buffer): ReceivedSpan[] {
  return messages(request, 1).flatMap((resourceSpans) => {
    const service = messages(resourceSpans, 1).map((resource) => attributes(resource, 1))[0]?.[
      'service.name'
    ];
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span) => readSpan(span, service)),
    );
  });
}

function readSpan(span: Buffer, service: AttributeValue): ReceivedSpan {
  const parent = hex(span, 4);
  return {
    service,
    name: text(span, 5),
    kind: kinds[Number(integer(span, 6))]!,
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentSpanId: parent === '' ? undefined : parent,
    startMs: Number(integer(span, 7)) / 1e6,
    endMs: Number(integer(span, 8)) / 1e6,
    attributes: attributes(span, 9),
    events: messages(span, 11).map((event) => ({
      name: text(event, 2),
      atMs: Number(integer(event, 1)) / 1e6,
      attributes: attributes(event, 3),
    })),
    links: messages(span, 13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    isError: messages(span, 15).some((status) => integer(status, 3) === 2n),
  };
}

function attributes(message: Buffer, number: number): Attributes {
  return Object.fromEntries(
    messages(message, number).map((pair) => [text(pair, 1), messages(pair, 2).map(readValue)[0]]),
  );
}

function readValue(value: Buffer): AttributeValue {
  for (const field of protobufFields(value)) {
    if (field.kind === 'bytes') return field.value.toString();
    if (field.number === 2) return field.value === 1n;
    if (field.number === 3) return Number(field.value);
    if (field.number === 4) return Number(new Float64Array(new BigUint64Array([field.value]).buffer)[0]);
  }
  return undefined;
}

function messages(message: Buffer, number: number): Buffer[] {
  return fieldsOf(message, number).flatMap((field) => (field.kind === 'bytes' ? [field.value] : []));
}

function text(message: Buffer, number: number): string {
  return messages(message, number)[0]?.toString() ?? '';
}

function hex(message: Buffer, number: number): string {
  return messages(message, number)[0]?.toString('hex') ?? '';
}

function integer(message: Buffer, number: number): bigint {
  const [field] = fieldsOf(message, number);
  return field === undefined || field.kind === 'bytes' ? 0n : field.value;
}

function fieldsOf(message: Buffer, number: number): ProtobufField[] {
  return [...protobufFields(message)].filter((field) => field.number === number);
}

/** One field of a protobuf message. `varint` and `fixed64` hold numbers, `bytes` holds everything with a length. */
type ProtobufField =
  | { readonly kind: 'varint' | 'fixed64'; readonly number: number; readonly value: bigint }
  | { readonly kind: 'bytes'; readonly number: number; readonly value: Buffer };

/** The fields of a message, in their order. @throws RangeError when it is cut short, Error for wire types not known here */
function* protobufFields(message: Buffer): Generator<ProtobufField> {
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
