import { runService } from '@pushfleet/service-kit';
import { startProducer } from './producer.ts';

await runService({
  name: 'producer',
  env: process.env,
  database: true,
  // Credentials are the workers'.
  start: startProducer,
});
