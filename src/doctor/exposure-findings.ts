// Who can reach what, and who can read it on its way: what serve warns of, and what it leaves to the operator.

import { hasIdentity } from '../config/outbound.ts';
import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { isLoopback } from '../edge/host-guard.ts';
import { type Finding, ok, warning } from './report.ts';

/** As serve says it at its start. */
export interface Told {
  readonly subject: string;
  readonly text: string;
  readonly remedy: string;
}

export function exposureFindings(config: Config, told: readonly Told[]): Finding[] {
  const findings = [
    ...told.map(({ subject, text, remedy }) => warning('exposure', text, remedy, { subject })),
    ...inTheClear(config),
    ...passwordInTheClear(config),
    ...changeablePages(config),
  ];
  return findings.length > 0 ? findings : [ok('exposure', `serves ${whoMayCall(config)}`)];
}

function whoMayCall(config: Config): string {
  const { listen, upstreams } = config;
  const where = isLoopback(listen.host) ? 'on this machine alone' : `on ${listen.host}`;
  // Where callers bring the credential of the server it decides itself.
  const isOpen = upstreams.some(
    (upstream) => settingsOf(config, upstream).inbound === 'none' && typeof upstream.outbound === 'string',
  );
  return isOpen ? `everybody ${where}` : `callers with a key or token, ${where}`;
}

/** Ours, as those of callers. */
function inTheClear({ upstreams }: Config): Finding[] {
  return upstreams
    .filter((upstream) => {
      const { urls } = upstream;
      const isPlain = urls.some(({ protocol, hostname }) => protocol === 'http:' && !isLoopback(hostname));
      return isPlain && hasIdentity(upstream);
    })
    .map(({ name }) =>
      warning('exposure', 'our credentials go to it over plain http', 'use https where others can listen on the way', {
        subject: name,
      }),
    );
}

/** What is kept there is sealed; the password that lets us keep it is not. */
function passwordInTheClear({ store }: Config): Finding[] {
  if (store === undefined || store.url.protocol !== 'redis:' || store.url.password === '') return [];
  if (isLoopback(store.url.hostname)) return [];
  const remedy = 'use rediss:// where others can listen on the way';
  return [warning('exposure', 'the password of the store goes to it in the clear', remedy, { subject: 'store' })];
}

/** Whoever is on the way of a page over plain http can put a script of his own into it. */
function changeablePages({ allowedOrigins = [] }: Config): Finding[] {
  return allowedOrigins
    .filter((origin) => /^http:/i.test(origin) && !isLoopback(new URL(origin).hostname))
    .map((subject) =>
      warning('exposure', 'pages of this origin may call, and come over plain http', 'serve them by https', {
        subject,
      }),
    );
}
