// The certificates of test/fixtures/tls, by what is wrong with them; make.sh there says how they were made.

import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../fixtures/tls');

export const certificateFile = (name: string): string => join(FOLDER, name);
export const certificate = (name: string): string => readFileSync(certificateFile(name), 'utf8');

/** Of our test authority, for 127.0.0.1: the only one without a fault. */
export const TRUSTED: ServerOptions = { cert: certificate('server.pem'), key: certificate('server.key') };
export const EXPIRED: ServerOptions = { ...TRUSTED, cert: certificate('expired.pem') };
export const OTHER_NAME: ServerOptions = { ...TRUSTED, cert: certificate('other-name.pem') };
export const SELF_SIGNED: ServerOptions = { ...TRUSTED, cert: certificate('self-signed.pem') };
/** Talks to nobody without a certificate of the same authority. */
export const WANTS_CERTIFICATE: ServerOptions = {
  ...TRUSTED,
  ca: certificate('ca.pem'),
  requestCert: true,
  rejectUnauthorized: true,
};
export const TLS_1_0: ServerOptions = {
  ...TRUSTED,
  minVersion: 'TLSv1',
  maxVersion: 'TLSv1',
  ciphers: 'DEFAULT@SECLEVEL=0',
};
