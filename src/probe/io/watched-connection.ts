// A connection made as links make it, and what it was like: how long its steps took, and the certificate at its end.

import { Socket, connect as connectPlainly } from 'node:net';
import { TLSSocket, type PeerCertificate, connect as connectSecurely } from 'node:tls';
import { buildConnector } from 'undici';
import type { Clock } from '../../domain/ports.ts';
import type { Connector } from '../../upstream/connector.ts';
import type { CertificateSeen } from '../seen.ts';

/** By the clock; null: not come to. */
export interface ConnectionTimes {
  begun: number;
  resolved: number | null;
  connected: number | null;
  secured: number | null;
}

export class WatchedConnection {
  readonly times: ConnectionTimes;
  certificate: CertificateSeen | null = null;
  readonly connector: buildConnector.connector;
  readonly #clock: Clock;

  constructor(options: Connector, clock: Clock) {
    this.#clock = clock;
    this.times = { begun: clock.now(), resolved: null, connected: null, secured: null };
    const connect = buildConnector(options);
    this.connector = (target, callback) => {
      this.times.begun = clock.now();
      // The type says nothing of it, and without it there would be no times and nothing else amiss.
      const socket: unknown = connect(target, callback);
      if (socket instanceof Socket) this.#watch(socket);
    };
  }

  #watch(socket: Socket): void {
    socket.once('lookup', () => (this.times.resolved = this.#clock.now()));
    socket.once('connect', () => (this.times.connected = this.#clock.now()));
    socket.once('secureConnect', () => {
      this.times.secured = this.#clock.now();
      if (socket instanceof TLSSocket) this.certificate = certificateOf(socket, null);
    });
  }
}

/**
 * The certificate of a server that is not trusted: shaken hands with, and told nothing. Null: there was no handshake.
 * `distrust`: why it was not.
 */
export function untrustedCertificate(
  url: URL,
  serverName: string | undefined,
  distrust: string,
  timeoutMs: number,
): Promise<CertificateSeen | null> {
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  return new Promise((resolve) => {
    const plain = connectPlainly({ host, port: Number(url.port || 443), timeout: timeoutMs });
    const name = serverName ?? (/^[\d.]+$|:/.test(host) ? '' : host);
    const socket = connectSecurely({ socket: plain, servername: name, rejectUnauthorized: false });
    const end = (seen: CertificateSeen | null): void => {
      clearTimeout(timer);
      socket.destroy();
      plain.destroy();
      resolve(seen);
    };
    const timer = setTimeout(() => end(null), timeoutMs);
    plain.on('error', () => end(null));
    socket.on('error', () => end(null));
    socket.once('secureConnect', () => end(certificateOf(socket, distrust)));
  });
}

const MAX_CHARS = 300;

function certificateOf(socket: TLSSocket, distrust: string | null): CertificateSeen {
  const { subject, issuer, valid_from, valid_to, subjectaltname } =
    socket.getPeerCertificate() as Partial<PeerCertificate>;
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    subject: named(subject),
    issuer: named(issuer),
    names: (subjectaltname ?? '').slice(0, MAX_CHARS),
    validFrom: valid_from ?? '',
    validTo: valid_to ?? '',
    distrust: distrust ?? (socket.authorized ? null : String(socket.authorizationError)),
  };
}

/** `CN=billing, O=Example`, whatever stands there. */
function named(name: PeerCertificate['subject'] | undefined): string {
  const parts = Object.entries({ ...name }).map(([key, value]) => `${key}=${[value].flat().join('+')}`);
  return parts.join(', ').slice(0, MAX_CHARS);
}
