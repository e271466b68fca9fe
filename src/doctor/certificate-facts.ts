// Certificates in files, and those that servers show. What servers are sent for it is a TLS handshake, and nothing more.

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect, rootCertificates } from 'node:tls';
import type { Connector } from '../upstream/connector.ts';
import { orLate } from './bounded.ts';
import type { OwnCertificate, ServedCertificate, Validity } from './certificate-findings.ts';

const PEM = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----[^-]*-----END [A-Z0-9 ]*CERTIFICATE-----/g;

/** `pem`: what a listener shows, its own first. `dialled`: the name that clients know; null: nobody has said. */
export function ownCertificate(pem: string, dialled: string | null): OwnCertificate {
  const chain = certificatesIn(pem);
  const [first] = chain;
  if (first === undefined) throw new Error('there is a certificate, as it was read before');
  return {
    ...validityOf(first),
    names: first.subjectAltName?.replaceAll('IP Address:', '').replaceAll('DNS:', '') ?? 'no name',
    missing: dialled === null || isFor(first, dialled) ? null : dialled,
    authority: authorityOf(chain),
  };
}

/** Of several the one that ends first. */
export function firstToEnd(pem: string): Validity {
  const [first] = certificatesIn(pem)
    .map(validityOf)
    .toSorted((left, right) => left.toMs - right.toMs);
  if (first === undefined) throw new Error('there is a certificate, as it was read before');
  return first;
}

function certificatesIn(pem: string): X509Certificate[] {
  return (pem.match(PEM) ?? []).map((text) => new X509Certificate(text));
}

function validityOf({ validFromDate, validToDate }: X509Certificate): Validity {
  return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
}

function authorityOf(chain: readonly X509Certificate[]): OwnCertificate['authority'] {
  const last = chain.at(-1);
  if (last === undefined) return 'broken';
  if (chain.some((each, index) => index > 0 && !isIssuedBy(chain[index - 1], each))) return 'broken';
  if (isIssuedBy(last, last)) return chain.length === 1 ? 'itself' : 'private';
  if (rootCertificates.some((root) => isIssuedBy(last, new X509Certificate(root)))) return 'public';
  // Public authorities say where the next one is to be had; clients do not fetch it.
  return chain.length === 1 && (last.infoAccess ?? '').includes('CA Issuers') ? 'missing' : 'private';
}

function isIssuedBy(certificate: X509Certificate | undefined, issuer: X509Certificate): boolean {
  return certificate?.checkIssued(issuer) === true && certificate.verify(issuer.publicKey);
}

function isFor(certificate: X509Certificate, name: string): boolean {
  const host = name.replaceAll(/[[\]]/g, '');
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

/**
 * Null: none was shown, or not in time; what was asked for beside it tells why. `refusalOf`: what to do about one that is not
 * accepted, in words for this kind of server.
 */
export async function servedCertificate(
  url: URL,
  connector: Connector,
  signal: AbortSignal,
  refusalOf: (code: string) => string,
): Promise<ServedCertificate | null> {
  // As undici has them; they are those of a TLS connection, whatever else its type allows.
  const { servername, minVersion, secureContext } = connector as ConnectionOptions;
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  const name = servername ?? (isIP(host) === 0 ? host : undefined);
  const socket = connect({
    host,
    port: Number(url.port || 443),
    ...(name !== undefined && { servername: name }),
    ...(minVersion !== undefined && { minVersion }),
    ...(secureContext !== undefined && { secureContext }),
    // What is wrong with it is to be seen.
    rejectUnauthorized: false,
  });
  try {
    return await orLate(shown(socket, connector.rejectUnauthorized, refusalOf), null, signal);
  } finally {
    socket.destroy();
  }
}

async function shown(
  socket: TLSSocket,
  isChecked: boolean,
  refusalOf: (code: string) => string,
): Promise<ServedCertificate | null> {
  try {
    await once(socket, 'secureConnect');
  } catch {
    return null;
  }
  socket.on('error', () => {});
  const certificate = socket.getPeerX509Certificate();
  return {
    validity: certificate === undefined ? null : validityOf(certificate),
    refusal: socket.authorized ? null : refusalOf(String(socket.authorizationError)),
    isChecked,
    protocol: socket.getProtocol(),
  };
}
