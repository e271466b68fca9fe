# The gateway as an image: node, the built program and what it needs at run time, and nothing else. No shell, no package
# manager, not root, nothing is ever written. test/image/ replays these steps and runs the result.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npx tsc -p tsconfig.build.json

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
# What `store` needs, which is optional elsewhere: of the version, and with the digests, that are locked.
RUN npm pkg delete devDependencies.ioredis peerDependencies peerDependenciesMeta && npm pkg set dependencies.ioredis=6.0.0 && npm install --omit=dev --ignore-scripts

FROM gcr.io/distroless/nodejs24-debian13:nonroot
WORKDIR /app
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
ENV NODE_ENV=production CAUSEWAY_LISTEN=0.0.0.0:8080
EXPOSE 8080
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/nodejs/bin/node", "/app/dist/main.js", "healthcheck"]
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/main.js"]
