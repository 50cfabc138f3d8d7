import type { Socket } from 'node:net';
import { Problem } from './problem.ts';

/** What Node's HTTP parser gave up on: there is no request to answer, only a connection. */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  createRequestId: () => string,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const problem = problemOf(error.code);
  const requestId = createRequestId();
  const body = JSON.stringify(problem.toBody(requestId));
  const headers = {
    ...problem.headers(),
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': requestId,
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${reasons[problem.status]}\r\n${lines.join('')}\r\n${body}`);
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};

/** By the codes of Node's parser; never its words, which quote the request. */
function problemOf(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('request-too-large', 'the path and the headers have more than 16 KiB together');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Problem('body-too-large', 'the chunks of the body have extensions that are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'the request did not come whole in time');
    default:
      return new Problem('invalid-request', 'the request is not HTTP/1.1 as RFC 9112 has it');
  }
}
