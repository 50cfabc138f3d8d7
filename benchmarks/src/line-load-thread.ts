import { type AddressInfo, connect, createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

// A thread of line-capacity.ts: takes bytes and counts them, or sends as many as it gets rid of.

const { sendTo } = workerData as { readonly sendTo: number | undefined };
if (sendTo === undefined) {
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
  });
  parentPort?.on('message', () => parentPort?.postMessage({ bytes }));
  server.listen(0, '127.0.0.1', () =>
    parentPort?.postMessage({ port: (server.address() as AddressInfo).port }),
  );
} else {
  const chunk = Buffer.alloc(256 * 1024, 1);
  const socket = connect(sendTo, '127.0.0.1', () => fill());
  socket.on('error', () => undefined);
  socket.on('drain', () => fill());
  const fill = (): void => {
    while (socket.write(chunk));
  };
}
