# Two images: `runtime`, with the services and the operator's commands (compose and Kubernetes choose which by the
# command), and `simulator`, which stands in for Apple and belongs on no production machine.
#
#   docker build -t pushfleet .                                    the last target: runtime
#   docker build -t pushfleet-simulator --target simulator .
#
# Node.js runs the TypeScript sources as they are (docs/decisions/0001), so there is nothing to compile. The base is
# pinned by digest; where no registry can be reached: --build-arg NODE_IMAGE=node:24-bookworm-slim (docs/development.md).
ARG NODE_IMAGE=node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d

# The manifests of every workspace, without which npm does not take the lock file for this repository's.
FROM ${NODE_IMAGE} AS manifests
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

FROM manifests AS runtime-modules
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
      --workspace=apps/cli --workspace=apps/feedback-sweeper --workspace=apps/producer --workspace=apps/worker && \
    # npm links what only tests need, too. Nothing that runs reads the rest.
    rm -r node_modules/@pushfleet/testkit node_modules/.bin && \
    find node_modules -type d \( -name test -o -name tests -o -name __tests__ \) -prune -exec rm -r {} + && \
    find node_modules -type f \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.map' -o -name '*.md' \) -delete

FROM manifests AS simulator-modules
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --workspace=apps/gateway-simulator

# What both images share. Node.js alone runs there: npm, yarn and corepack stay behind.
FROM ${NODE_IMAGE} AS base
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
ENV NODE_ENV=production \
    NODE_OPTIONS=--disable-warning=ExperimentalWarning
WORKDIR /srv/pushfleet
COPY package.json ./

FROM base AS simulator
LABEL org.opencontainers.image.title="Pushfleet gateway simulator" \
      org.opencontainers.image.description="Stands in for Apple's gateways in tests of Pushfleet"
COPY --from=simulator-modules /srv/pushfleet/node_modules/ node_modules/
COPY packages/apns-wire/ packages/apns-wire/
COPY packages/testkit/ packages/testkit/
COPY apps/gateway-simulator/ apps/gateway-simulator/
# A volume that is mounted here begins with this owner: the simulator writes its certificates into it, as node.
RUN install -d -o node -g node /var/lib/gateway-tls
USER node
EXPOSE 2190 2195 2196 2197
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=20 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:2190/ledger').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/gateway-simulator/src/main.ts", "--host=0.0.0.0", "--binary-port=2195", "--feedback-port=2196", \
     "--http2-port=2197", "--control-port=2190", "--tls-dir=/var/lib/gateway-tls"]

FROM base AS runtime
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pushfleet" \
      org.opencontainers.image.description="A queue-backed, distributed sender of Apple push notifications"
ENV PUSHFLEET_HOST=0.0.0.0 \
    PUSHFLEET_ADMIN_HOST=0.0.0.0 \
    PUSHFLEET_CONFIG=/etc/pushfleet/pushfleet.yaml \
    PUSHFLEET_BUILD_COMMIT=${REVISION}
COPY --from=runtime-modules /srv/pushfleet/node_modules/ node_modules/
COPY packages/apns-client/ packages/apns-client/
COPY packages/apns-credentials/ packages/apns-credentials/
COPY packages/apns-wire/ packages/apns-wire/
COPY packages/client/ packages/client/
COPY packages/push-queue/ packages/push-queue/
COPY packages/service-kit/ packages/service-kit/
COPY packages/token-store/ packages/token-store/
COPY apps/cli/ apps/cli/
COPY apps/feedback-sweeper/ apps/feedback-sweeper/
COPY apps/producer/ apps/producer/
COPY apps/worker/ apps/worker/
# Served at the admin port: alerts link to it.
COPY docs/runbook.md docs/
RUN install -d -o node -g node /etc/pushfleet && \
    ln -s /srv/pushfleet/apps/cli/src/main.ts /usr/local/bin/pushfleet
USER node
EXPOSE 8080 9100 9101 9102
# Finds out which service runs, and asks its admin port: no variable has to say which.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "packages/service-kit/src/health-check.ts"]
CMD ["node", "apps/producer/src/main.ts"]
