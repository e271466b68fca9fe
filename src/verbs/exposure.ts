// Who can reach what: what must not be open to everybody, and what should not be.

import { ConfigError } from '../config/load.ts';
import { hasIdentity, hasOwn, isDecidedBehind } from '../config/outbound.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { shownPath } from '../config/substitution.ts';
import type { Certificates } from '../edge/certificate.ts';
import { isLoopback } from '../edge/host-guard.ts';
import { checkKeyFiles } from '../identity/key-set.ts';

/**
 * Configured credentials on a public address without authentication would be everybody's, as status and reload would be,
 * and without the keys of an issuer nobody could be let in. Throws a ConfigError.
 */
export function refuseUnsafe(config: Config): void {
  checkKeyFiles(config);
  const { listen, admin, upstreams } = config;
  if (admin !== undefined && isAdminOpenToAll(admin)) {
    throw new ConfigError(
      `the listener of admin is on a public address, ${admin.host}, without a token: everybody who reaches it could read the status and have the file read anew. ` +
        'Set admin.token (CAUSEWAY_ADMIN_TOKEN, or --admin-token @FILE); or say admin.metrics: open, and nothing but metrics and health is served there; or listen on 127.0.0.1',
    );
  }
  if (isLoopback(listen.host)) return;
  for (const upstream of upstreams) {
    if (settingsOf(config, upstream).inbound !== 'none' || !hasOwn(upstream)) continue;
    if (isDecidedBehind(upstream) && !hasIdentity(upstream)) continue;
    throw new ConfigError(
      `upstream ${upstream.name} has credentials, and ${listen.host} is a public address: everybody who reaches it could use them. ` +
        (isDecidedBehind(upstream) ? BESIDE_THEIRS : `Let in ${KNOWN}, or listen on 127.0.0.1`),
    );
  }
}

const KNOWN =
  'only callers you know (inbound.jwt, or inbound.bearer.keys, or CAUSEWAY_INBOUND_BEARER_KEYS=NAME=SHA256)';
/** Where `inbound` would be refused. */
const BESIDE_THEIRS =
  'Take the secrets out of headers and url, and let the server decide by the authorization that is forwarded (a certificate, tls.cert, may stay). ' +
  `Or forward another header, and let in ${KNOWN}. Or listen on 127.0.0.1`;

export interface Warning {
  readonly about: Readonly<Record<string, string>>;
  readonly text: string;
  /** What to do. */
  readonly remedy: string;
}

/** What is served all the same. */
export function warningsOf(config: Config): readonly Warning[] {
  const { listen, upstreams, publicUrl } = config;
  return [
    ...(isOpenToAll(config)
      ? [
          {
            about: { host: listen.host },
            text: 'bound to a public address without authentication (inbound) or allowedHosts: anybody who reaches it can use the server behind it',
            remedy: `let in ${KNOWN}, or listen on 127.0.0.1`,
          },
        ]
      : []),
    ...(publicUrl !== undefined && isSeenInTheClear(publicUrl)
      ? [
          {
            about: { publicUrl: publicUrl.href },
            text: 'publicUrl is plain http on a public name: keys and tokens can be read on their way; put TLS in front, or give listen.tls',
            remedy: 'make it https, as clients then see it',
          },
        ]
      : []),
    ...upstreams.flatMap((upstream) => ofUpstream(upstream, listen.host)),
  ];
}

function ofUpstream(upstream: UpstreamConfig, host: string): Warning[] {
  const { name, urls, outbound, tls } = upstream;
  const warnings: Warning[] = [];
  const warn = (text: string, remedy: string): void => void warnings.push({ about: { upstream: name }, text, remedy });
  if (
    typeof outbound === 'object' &&
    urls.some(({ protocol, hostname }) => protocol === 'http:' && !isLoopback(hostname))
  ) {
    warn(
      'the credentials of callers (outbound.forward) go to it over plain http: anybody on the way can read them',
      'use https',
    );
  }
  if (!isLoopback(host) && isDecidedBehind(upstream) && hasOwn(upstream)) {
    warn(
      'on a public address it gets our headers or certificate (headers, tls.cert) with whatever authorization a caller sends, or none: it must refuse all but those it knows by that',
      'see that it does, or listen on 127.0.0.1',
    );
  }
  if (tls !== undefined && urls.every(({ protocol }) => protocol === 'http:')) {
    warn(
      'tls changes nothing, as its url is http; the certificate that clients are shown is listen.tls',
      'take it out, or make the url https',
    );
  }
  if (tls?.insecureSkipVerify === true) {
    warn(
      'its certificate is not checked (tls.insecureSkipVerify): anybody on the way can pretend to be the server',
      'name its authority in tls.ca instead',
    );
  }
  return warnings;
}

/** Allowed names keep nobody away but pages. Who says that metrics are open gets those alone: see admin/access.ts. */
function isAdminOpenToAll({ host, token, metrics }: NonNullable<Config['admin']>): boolean {
  return !isLoopback(host) && token === undefined && metrics !== 'open';
}

/** Of files of secrets that every user of the machine may read, and of certificates that are shown all the same. */
export function fileWarnings(openSecrets: readonly string[], certificates: Certificates): readonly Warning[] {
  const ofCertificates = Object.values(certificates).flatMap((certificate) => {
    if (certificate === null || certificate.validTo.getTime() > Date.now()) return [];
    return [{ about: { file: certificate.file }, text: 'this certificate has expired: renew it', remedy: 'renew it' }];
  });
  return [...openFiles(openSecrets, certificates).map(ofOpenSecret), ...ofCertificates];
}

/** With the keys of listeners. */
export function openFiles(openSecrets: readonly string[], certificates: Certificates): string[] {
  const keys = Object.values(certificates).map((certificate) => certificate?.openKeyFile ?? null);
  return [...openSecrets, ...keys.filter((file) => file !== null)];
}

function ofOpenSecret(file: string): Warning {
  const text =
    'every user of this machine may read this file of a secret: take the right from them (chmod 600; in Kubernetes defaultMode: 0400)';
  return { about: { file: shownPath(file) }, text, remedy: 'chmod 600' };
}

/** Where credentials of callers are forwarded it is the server that lets them in. */
function isOpenToAll(config: Config): boolean {
  const { listen, upstreams, allowedHosts } = config;
  const isOpen = upstreams.some(
    (upstream) => typeof upstream.outbound === 'string' && settingsOf(config, upstream).inbound === 'none',
  );
  return !isLoopback(listen.host) && isOpen && allowedHosts === undefined;
}

/** Tokens would cross a network where anybody can read them. */
function isSeenInTheClear(publicUrl: URL): boolean {
  return publicUrl.protocol === 'http:' && !isLoopback(publicUrl.hostname);
}
