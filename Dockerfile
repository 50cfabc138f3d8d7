# One image for every Pushfleet service; compose and Kubernetes choose which by the command.
# Node.js runs the TypeScript sources as they are (docs/decisions/0001), so there is nothing to compile.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /srv/pushfleet
COPY package.json package-lock.json ./
COPY apps/cli/package.json apps/cli/
COPY apps/feedback-sweeper/package.json apps/feedback-sweeper/
COPY apps/gateway-simulator/package.json apps/gateway-simulator/
COPY apps/producer/package.json apps/producer/
COPY apps/worker/package.json apps/worker/
COPY packages/apns-client/package.json packages/apns-client/
COPY packages/apns-credentials/package.json packages/apns-credentials/
COPY packages/apns-wire/package.json packages/apns-wire/
COPY packages/client/package.json packages/client/
COPY packages/push-queue/package.json packages/push-queue/
COPY packages/service-kit/package.json packages/service-kit/
COPY packages/testkit/package.json packages/testkit/
COPY packages/token-store/package.json packages/token-store/
COPY benchmarks/package.json benchmarks/
COPY ops/package.json ops/
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pushfleet" \
      org.opencontainers.image.description="A queue-backed, distributed sender of Apple push notifications" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production \
    NODE_OPTIONS=--disable-warning=ExperimentalWarning \
    PUSHFLEET_HOST=0.0.0.0 \
    PUSHFLEET_ADMIN_HOST=0.0.0.0 \
    PUSHFLEET_CONFIG=/etc/pushfleet/pushfleet.yaml
WORKDIR /srv/pushfleet
COPY --from=dependencies /srv/pushfleet/ ./
COPY package.json ./
COPY apps/ apps/
COPY packages/ packages/
# A volume that is mounted here begins with this owner: the simulator writes its certificates into it, as node.
RUN install -d -o node -g node /var/lib/gateway-tls /etc/pushfleet
USER node
# Probes the admin port of whichever service runs; the port is the service's own default unless the variable says.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PUSHFLEET_ADMIN_PORT ?? 9100}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/producer/src/main.ts"]
