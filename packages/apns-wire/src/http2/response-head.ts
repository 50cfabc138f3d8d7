import { Http2WireError } from './http2-error.ts';

/**
 * Gathers what a client wants to know of the header block of an answer; used again for the next. `field` is a sink of
 * HpackDecoder.
 */
export class ResponseHead {
  /** 0: there was none, so these are trailers. */
  status = 0;
  apnsId: string | undefined;
  /** The field as it stood: seconds, or a date (RFC 9110 section 10.2.3). */
  retryAfter: string | undefined;
  #hasFields = false;

  reset(): this {
    this.status = 0;
    this.apnsId = undefined;
    this.retryAfter = undefined;
    this.#hasFields = false;
    return this;
  }

  /** Throws `http2-protocol-error`, for the stream, at a block that is no answer's (RFC 9113 section 8.3.2). */
  readonly field = (name: string, value: string): void => {
    if (name === ':status') {
      if (this.#hasFields || this.status !== 0 || !/^[1-9][0-9]{2}$/.test(value)) {
        throw malformed('An answer whose status is out of place or no status');
      }
      this.status = Number(value);
      return;
    }
    if (name.charCodeAt(0) === 0x3a) {
      throw malformed('An answer with a pseudo-header field other than its status');
    }
    this.#hasFields = true;
    if (name === 'apns-id') this.apnsId = value;
    else if (name === 'retry-after') this.retryAfter = value;
  };
}

function malformed(message: string): Http2WireError {
  return new Http2WireError('http2-protocol-error', message, 'stream');
}
