// Sends one notification over HTTP, and asks what has become of it.
import { createClient, PushfleetError } from '@pushfleet/client';

const [token = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90'] = process.argv.slice(2);
const { PUSHFLEET_URL = 'http://127.0.0.1:8080', PUSHFLEET_KEY } = process.env;
const pushfleet = createClient({
  baseUrl: PUSHFLEET_URL,
  ...(PUSHFLEET_KEY === undefined ? {} : { key: PUSHFLEET_KEY }),
});

try {
  const { batchId } = await pushfleet.send(
    {
      app: 'shop-prod',
      token,
      alert: { title: 'Your order', body: 'It is on its way.' },
      ttl: 3_600,
    },
    // The order's own id: however often this runs, the customer hears of it once.
    { idempotencyKey: 'order-7/shipped' },
  );
  const { state, queued, accepted, rejected } = await pushfleet.batch(batchId);
  console.log(JSON.stringify({ batchId, state, queued, accepted, rejected }));
} catch (error) {
  if (!(error instanceof PushfleetError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
