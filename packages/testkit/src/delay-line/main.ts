import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { Line, type LineSettings } from './line.ts';

// The process of start-delay-line.ts: a line, and a control port on loopback.

const { values } = parseArgs({
  options: {
    'target-port': { type: 'string' },
    'max-bytes': { type: 'string', default: String(64 * 1024 * 1024) },
    seed: { type: 'string', default: '1' },
  },
});
const line = await Line.open({
  targetPort: Number(values['target-port']),
  maxBytes: Number(values['max-bytes']),
  seed: Number(values.seed),
});

const control = createServer((request, response) => {
  void answer(request).then(
    (body) => response.end(JSON.stringify(body)),
    (error: unknown) => {
      response.statusCode = 400;
      response.end(JSON.stringify({ error: String(error) }));
    },
  );
});

async function answer(request: IncomingMessage): Promise<unknown> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /figures':
      break;
    case 'POST /line':
      line.set((await readJson(request)) as Partial<LineSettings>);
      break;
    case 'POST /cut':
      line.cut(((await readJson(request)) as { how: 'close' | 'reset' }).how);
      break;
    default:
      throw new Error(`There is no ${request.method} ${request.url}`);
  }
  return line.figures;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

process.once('SIGTERM', () => {
  line.close();
  control.closeAllConnections();
  control.close();
});
control.listen(0, '127.0.0.1', () => {
  const { port: controlPort } = control.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ ready: true, port: line.port, controlPort })}\n`);
});
