export * from './frame.ts';
export { type FrameReaderOptions, Http2FrameReader } from './frame-reader.ts';
export * from './frame-writer.ts';
export { type FieldSink, HpackDecoder, type HpackDecoderOptions } from './hpack/hpack-decoder.ts';
export {
  type LiteralField,
  type LiteralIndexing,
  literalLength,
  writeIndexedField,
  writeLiteralField,
} from './hpack/hpack-encoder.ts';
export { StaticIndex } from './hpack/static-table.ts';
export { Http2WireError, type Http2WireErrorCode } from './http2-error.ts';
export { RequestEncoder, type RequestHeaders } from './request-encoder.ts';
export { ResponseHead } from './response-head.ts';
