import { z } from 'zod';
import { variable } from './variable.ts';

// Variables that no service reads, but that may well stand in the environment of one: those of docker-compose.yml
// (.env.example), and those of this repository's tests and tools.

const ofCompose = (what: string, example: string, byDefault?: string) =>
  variable({
    schema: z.string(),
    readBy: ['compose'],
    what,
    example,
    ...(byDefault === undefined ? {} : { byDefault }),
  });

const image = (what: string, tag: string) =>
  ofCompose(`${what}, with its digest by default; a tag alone takes an image that is on this machine.`, tag);

export const composeVariables = {
  PUSHFLEET_VERSION: ofCompose('Tag of the images that are built and started.', '0.1.0', 'dev'),
  PUSHFLEET_REVISION: ofCompose(
    'Commit that the images say they were built from.',
    '$(git rev-parse HEAD)',
    'unknown',
  ),
  PUSHFLEET_PRODUCER_ADMIN_PORT: ofCompose(
    "Port of this machine for the producer's admin port.",
    '9100',
    '9100',
  ),
  PUSHFLEET_SIMULATOR_PORT: ofCompose(
    "Port of this machine for the simulator's control port.",
    '2190',
    '2190',
  ),
  PUSHFLEET_PROMETHEUS_PORT: ofCompose('Port of this machine for Prometheus.', '9090', '9090'),
  PUSHFLEET_ALERTMANAGER_PORT: ofCompose('Port of this machine for Alertmanager.', '9093', '9093'),
  PUSHFLEET_GRAFANA_PORT: ofCompose('Port of this machine for Grafana.', '3000', '3000'),
  PUSHFLEET_REDIS_MAXMEMORY: ofCompose(
    'Above this Redis refuses writes; well under the 2 GB that its container may take.',
    '1536mb',
    '1536mb',
  ),
  PUSHFLEET_METRICS_RETENTION: ofCompose('How long Prometheus keeps metrics.', '15d', '15d'),
  PUSHFLEET_NODE_IMAGE: image('Base of the images', 'node:24-bookworm-slim'),
  PUSHFLEET_REDIS_IMAGE: image('Image of Redis', 'redis:8-bookworm'),
  PUSHFLEET_POSTGRES_IMAGE: image('Image of Postgres', 'postgres:17-bookworm'),
  PUSHFLEET_PROMETHEUS_IMAGE: image('Image of Prometheus', 'prom/prometheus:v3.5.0'),
  PUSHFLEET_ALERTMANAGER_IMAGE: image('Image of Alertmanager', 'prom/alertmanager:v0.28.1'),
  PUSHFLEET_GRAFANA_IMAGE: image('Image of Grafana', 'grafana/grafana:12.1.1'),
} as const;

const ofDevelopment = (what: string, example: string) =>
  variable({ schema: z.string(), readBy: ['development'], what, example });

export const developmentVariables = {
  PUSHFLEET_TEST_SERVICES: ofDevelopment(
    'Where tests take Redis and Postgres from: `auto`, `programs` or `containers`.',
    'auto',
  ),
  PUSHFLEET_TESTKIT_TEST: ofDevelopment('Of the tests of the test kit alone.', '1'),
  PUSHFLEET_BENCH_SHARE: ofDevelopment('Share of the usual size that benchmarks run with.', '0.1'),
  PUSHFLEET_CPU_PROFILE: ofDevelopment(
    'Folder for processor profiles of benchmarked processes.',
    '/tmp/profiles',
  ),
} as const;
