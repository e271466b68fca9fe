// The files that `tls` of an upstream names: read with the configuration, at the start and at every reload, so that what
// cannot be used is told at its key, and one that has changed makes another upstream of it.

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Config, Pem, UpstreamTlsConfig } from './schema.ts';
import { type Surroundings, whyUnreadable } from './substitution.ts';
import type { Problem } from './validate.ts';

type Files = Pick<Surroundings, 'readFile' | 'onSecretFile'>;
type FileKey = 'ca' | 'cert' | 'key';

/** The same configuration with what the files hold, and what is wrong with them. */
export function withTlsFiles(config: Config, files: Files): { readonly config: Config; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const upstreams = config.upstreams.map((upstream, index) => {
    const { tls } = upstream;
    if (tls === undefined) return upstream;
    const { pem, wrong } = read(tls, files);
    for (const { key, message } of wrong) {
      problems.push({ path: ['upstreams', index, 'tls', key], at: 'value', message });
    }
    return { ...upstream, tls: { ...tls, pem } };
  });
  return { config: { ...config, upstreams }, problems };
}

interface Wrong {
  readonly key: FileKey;
  readonly message: string;
}

function read(tls: UpstreamTlsConfig, files: Files): { readonly pem: Pem; readonly wrong: Wrong[] } {
  const wrong = alone(tls);
  const text = (key: FileKey, judge: (pem: string) => string | null): string | undefined => {
    const file = tls[key];
    if (file === undefined) return undefined;
    try {
      const pem = files.readFile(file);
      const fault = judge(pem);
      if (fault === null) return pem;
      wrong.push({ key, message: `${file} ${fault}` });
    } catch (cause) {
      wrong.push({ key, message: `${file} cannot be read: ${whyUnreadable(cause)}` });
    }
    return undefined;
  };
  const ca = text('ca', certificateFault);
  const cert = text('cert', certificateFault);
  const key = text('key', (pem) => keyFault(pem, cert));
  if (key !== undefined && tls.key !== undefined) files.onSecretFile?.(tls.key);
  return {
    pem: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
    wrong,
  };
}

/** One of the two is of no use. */
function alone({ cert, key }: UpstreamTlsConfig): Wrong[] {
  if ((cert === undefined) === (key === undefined)) return [];
  const [given, missing] = cert === undefined ? (['key', 'cert'] as const) : (['cert', 'key'] as const);
  return [{ key: missing, message: `is missing: ${given} is of no use without it` }];
}

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Every one in the file: TLS would pass over those that it cannot read. */
function certificateFault(pem: string): string | null {
  const certificates = pem.match(CERTIFICATE);
  if (certificates === null) return 'holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)';
  try {
    for (const each of certificates) void new X509Certificate(each);
    return null;
  } catch {
    return 'holds a certificate that is damaged';
  }
}

function keyFault(pem: string, cert: string | undefined): string | null {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    return 'holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)';
  }
  if (/ENCRYPTED/.test(pem)) return 'holds a key that is encrypted: decrypt it with `openssl pkey`';
  try {
    createSecureContext({ key: pem });
  } catch {
    return 'holds a private key that is damaged';
  }
  try {
    // Without its certificate, which is told of itself, there is nothing to compare with.
    if (cert !== undefined) createSecureContext({ key: pem, cert });
    return null;
  } catch {
    return 'is not the key of the certificate in cert';
  }
}
