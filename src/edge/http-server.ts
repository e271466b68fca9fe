// The server of a listener: plain HTTP, or TLS where it has a certificate.

import { type RequestListener, type Server, type ServerOptions, createServer } from 'node:http';
import { Server as TlsServer, createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TimeoutConfig } from '../config/schema.ts';
import { MIN_TLS_VERSION } from '../domain/tls-version.ts';
import type { Certificate } from './certificate.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** Looked at every second: whether headers or bodies are late. */
const CHECK_MS = 1000;

export function createHttpServer(
  certificate: Certificate | null,
  timeouts: TimeoutConfig,
  answer: RequestListener,
): Server {
  const inTurn = oneAtATime(answer);
  const options: ServerOptions = { connectionsCheckingInterval: CHECK_MS };
  const server =
    certificate === null
      ? createServer(options, inTurn)
      : createTlsServer({ ...options, ...shown(certificate), handshakeTimeout: timeouts.clientHeaders }, inTurn);
  // Node would refuse what it does not know before anybody has looked at the request. [RFC 9110 10.1.1] "MAY respond".
  server.on('checkExpectation', inTurn);
  setTimeouts(server, timeouts);
  if (certificate !== null) closeThoseWithoutTls(server);
  return server;
}

/** Node knows of a connection once TLS has come about: one that still waits for it would keep the server from its end. */
function closeThoseWithoutTls(server: Server): void {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const closeOthers = server.closeAllConnections.bind(server);
  server.closeAllConnections = () => {
    closeOthers();
    for (const socket of sockets) socket.destroy();
  };
}

/** Connections that are open go on with what they have agreed on. */
export function renewCertificate(server: Server, certificate: Certificate | null): void {
  if (server instanceof TlsServer && certificate !== null) server.setSecureContext(shown(certificate));
}

/** Looked at by Node when it is time, so a change goes for connections that are there. */
export function setTimeouts(server: Server, { clientHeaders, clientBody, keepAlive }: TimeoutConfig): void {
  server.headersTimeout = clientHeaders;
  server.requestTimeout = clientBody;
  server.keepAliveTimeout = keepAlive;
}

function shown({ cert, key }: Certificate): { cert: Buffer; key: Buffer; minVersion: typeof MIN_TLS_VERSION } {
  return { cert, key, minVersion: MIN_TLS_VERSION };
}
