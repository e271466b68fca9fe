// The certificate that a listener shows and its private key: read from their files at the start and at every reload, and
// judged as a whole before anything changes.

import { X509Certificate, createPrivateKey } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../config/load.ts';
import type { Config, ListenerTlsConfig } from '../config/schema.ts';
import { shownPath, whyUnreadable } from '../config/substitution.ts';
import { MIN_TLS_VERSION } from '../domain/tls-version.ts';

type Section = 'listen' | 'admin';

export interface Certificate {
  /** PEM; the listener's own first, then what it was issued by. */
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly fingerprint: string;
  readonly validTo: Date;
  /** That it came from. */
  readonly file: string;
  /** The file of the key, where everybody on this machine may read it. */
  readonly openKeyFile: string | null;
}

/** Null where a listener speaks plain HTTP. */
export type Certificates = Readonly<Record<Section, Certificate | null>>;

/** Throws a ConfigError that names the file and what is wrong with it. */
export function readCertificates({ listen, admin }: Pick<Config, 'listen' | 'admin'>): Certificates {
  const read = (section: Section, tls: ListenerTlsConfig | undefined): Certificate | null =>
    tls === undefined ? null : readCertificate(section, tls);
  return { listen: read('listen', listen.tls), admin: read('admin', admin?.tls) };
}

function readCertificate(section: Section, files: ListenerTlsConfig): Certificate {
  const cert = fileOf(section, 'cert', files);
  const key = fileOf(section, 'key', files);
  const shown = orFault(section, 'cert', files, () => new X509Certificate(cert.bytes));
  const secret = orFault(section, 'key', files, () => createPrivateKey(key.bytes));
  if (!shown.checkPrivateKey(secret)) throw fault(section, 'key', `${files.key} is not the key of ${files.cert}`);
  orFault(section, 'cert', files, () =>
    createSecureContext({ cert: cert.bytes, key: key.bytes, minVersion: MIN_TLS_VERSION }),
  );
  return {
    cert: cert.bytes,
    key: key.bytes,
    fingerprint: shown.fingerprint256,
    validTo: shown.validToDate,
    file: files.cert,
    openKeyFile: key.isPublic ? files.key : null,
  };
}

function fileOf(
  section: Section,
  which: keyof ListenerTlsConfig,
  files: ListenerTlsConfig,
): { bytes: Buffer; isPublic: boolean } {
  const path = files[which];
  try {
    // Else a pipe would wait for somebody to write to it.
    // oxlint-disable-next-line no-bitwise -- as node:fs has it
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) throw Object.assign(new Error(), { code: stats.isDirectory() ? 'EISDIR' : 'NO_FILE' });
      // oxlint-disable-next-line no-bitwise -- as node:fs has it
      return { bytes: readFileSync(file), isPublic: (stats.mode & constants.S_IROTH) !== 0 };
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw fault(section, which, `${shownPath(path)} cannot be read: ${whyUnreadable(cause)}`);
  }
}

/** What OpenSSL says of a file, in words. It says nothing of what is in it. */
function orFault<Made>(
  section: Section,
  which: keyof ListenerTlsConfig,
  files: ListenerTlsConfig,
  make: () => Made,
): Made {
  try {
    return make();
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    throw fault(section, which, `${files[which]} ${FAULTS[code] ?? `cannot be used (${code})`}`);
  }
}

const ENCRYPTED = 'is encrypted: give the key without a passphrase';
const FAULTS: Readonly<Record<string, string>> = {
  ERR_OSSL_PEM_NO_START_LINE: 'holds no certificate in PEM form',
  ERR_OSSL_UNSUPPORTED: 'holds no private key in PEM form',
  ERR_MISSING_PASSPHRASE: ENCRYPTED,
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: ENCRYPTED,
  ERR_SSL_EE_KEY_TOO_SMALL: 'has a key that is too short: 2048 bits at least, or an elliptic curve',
};

function fault(section: Section, which: keyof ListenerTlsConfig, message: string): ConfigError {
  return new ConfigError([{ place: { kind: 'none' }, key: `${section}.tls.${which}`, message }]);
}
