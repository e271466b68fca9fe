// What values there are in a configuration: durations, sizes, counts, URLs, paths, header names; and what is noted of each
// key beside its type.

import { z } from 'zod';
import { HTTP_URL, HTTP_URL_WITHOUT_USER, urlFault } from './http-url.ts';
import { type Quantity, durations, sizes } from './quantities.ts';
import { SEALING_SECRET, secretFault } from './sealing-secret.ts';

export interface About {
  readonly example?: unknown;
  /** It can change while the process runs. */
  readonly live?: boolean;
  /** It is of the process as a whole: an upstream cannot have its own. */
  readonly wide?: boolean;
}

/** One key with a default. `example` is only given where the default shows nothing. */
export function setting<Type extends z.ZodType>(
  type: Type,
  fallback: z.input<Type>,
  description: string,
  { example, live = true, wide = false }: About = {},
): z.ZodPrefault<Type> {
  const meta = { description, 'x-live': live, 'x-wide': wide, 'x-example': example };
  // The parameter excludes undefined in a way that a generic type cannot show; no setting has it as its default.
  return type.prefault(fallback as never).meta(meta);
}

const quantity = (each: Quantity) =>
  z
    .string({ error: 'write it with a unit, such as ' + (each.unit === 'size' ? '4MiB' : '15s') })
    .meta({ pattern: each.pattern, 'x-unit': each.unit })
    .transform((text, context): number => {
      if (new RegExp(each.pattern).test(text)) return each.parse(text);
      context.addIssue({ code: 'custom', message: each.explain(text) });
      return z.NEVER;
    });

export const duration = (fallback: string, description: string, about: About & { leastMs?: 0 | 1 | 10 } = {}) =>
  setting(quantity(durations(about.leastMs ?? 1)), fallback, description, about);
export const size = (fallback: string, description: string, about: About & { least?: 0 | 1 } = {}) =>
  setting(quantity(sizes(about.least ?? 1)), fallback, description, about);
export const count = (fallback: number, description: string, about: About & { least?: number } = {}) =>
  setting(z.int().min(about.least ?? 0), fallback, description, about);

const anyCase = (name: string): string => name.replaceAll(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`);
/** What the transport sets itself; a second value would break the request or the framing. */
const OWN_HEADERS =
  'accept accept-encoding connection content-length content-type expect host keep-alive te trailer transfer-encoding upgrade';
const OWN_HEADER = `(?:${OWN_HEADERS.split(' ').map(anyCase).join('|')}|${anyCase('mcp')}-.*)$`;
export const NO_HEADER_NAME = 'is no header name, or one that the gateway sets itself';
export const HEADER_NAME = new RegExp(`^(?!${OWN_HEADER})(?!__proto__$)[!#$%&'*+.^_\`|~0-9A-Za-z-]+$`);

/** Beside those: what is about one connection, the body, the page or the way here, and would say wrong things of ours. */
const NOT_FORWARDED =
  'cache-control date dnt forwarded http2-settings last-event-id max-forwards origin pragma priority range referer set-cookie traceparent tracestate user-agent via warning';
const NOT_FORWARDED_HEADER = `(?:${NOT_FORWARDED.split(' ').map(anyCase).join('|')}|(?:${['access-control', 'accept', 'content', 'if', 'proxy', 'sec', 'x-forwarded'].map(anyCase).join('|')})-.*)$`;
export const forwardedHeader = z
  .string()
  .regex(
    new RegExp(`^(?!${NOT_FORWARDED_HEADER})${HEADER_NAME.source.slice(1)}`),
    'is no header name, or one that is not the caller’s to choose for the server',
  );

const urlOf = (pattern: RegExp, fault: (text: string) => string | null) =>
  z
    .string({ error: 'must be an http or https URL, such as http://127.0.0.1:9001/sse' })
    .regex(pattern, { error: ({ input }) => fault(String(input)) ?? 'is not a URL' })
    .transform((text, context) => {
      const why = fault(text);
      if (why === null) return new URL(text);
      // The pattern has spoken already where it does not match.
      if (pattern.test(text)) context.addIssue({ code: 'custom', message: why });
      return z.NEVER;
    });

export const httpUrl = urlOf(HTTP_URL, urlFault);
export const httpUrlWithoutUser = urlOf(HTTP_URL_WITHOUT_USER, (text) => {
  if (!HTTP_URL.test(text) || HTTP_URL_WITHOUT_USER.test(text)) return urlFault(text);
  return 'holds a user name or password, which would not be sent: those of url, or headers, go with every request';
});

const PATH = /^(?!\/(?:healthz|readyz)$)(?!\/\.well-known(?:\/|$))\/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]$/;
export const servedPath = z
  .string()
  .regex(
    PATH,
    'must start with a slash, not end with one, and not be /healthz, /readyz or below /.well-known; such as /mcp',
  );

const NAMED_HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)`;
const LOOPBACK = String.raw`(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])`;
const SOME_PORT = String.raw`(?::[1-9]\d{0,4})?`;
/** What comes from there decides who is let in: nobody on the way may change it. */
const TRUSTED = String.raw`(?:https:\/\/${NAMED_HOST}|http:\/\/${LOOPBACK}(?![^:/?]))${SOME_PORT}`;
const NO_TRUST = 'must be an https URL, or http on a loopback address';

const parsedUrl = (text: string, context: z.core.$RefinementCtx): URL => {
  if (URL.canParse(text)) return new URL(text);
  context.addIssue({ code: 'custom', message: 'is not a URL: is the port over 65535?' });
  return z.NEVER;
};

/** Kept as it is written: it is compared as text. */
export const issuerUrl = z
  .string()
  .regex(
    new RegExp(String.raw`^${TRUSTED}(?:\/[^\s?#"\\]*)?$`),
    `${NO_TRUST}, as the iss of the tokens says it, such as https://login.example.com`,
  );
export const trustedUrl = z
  .string()
  .regex(
    new RegExp(String.raw`^${TRUSTED}(?:[/?][^\s#]*)?$`),
    `${NO_TRUST}, without user name and fragment, such as https://login.example.com/jwks.json`,
  )
  .transform(parsedUrl);
/** Where others see us. */
export const publicUrl = z
  .string()
  .regex(
    new RegExp(String.raw`^https?:\/\/${NAMED_HOST}${SOME_PORT}(?:\/|(?:\/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+\/?)?$`),
    'must be the URL in front of the paths of the upstreams, without user name, query and fragment, such as https://mcp.example.com',
  )
  .transform(parsedUrl);

/** As a Host header names it, without its port. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)$/;
export const hostName = z.string().regex(HOST, {
  error: ({ input }) => {
    const text = String(input).trim();
    if (text.includes('*')) return 'is a pattern, and names are compared as they are: list each name';
    const [, host = ''] =
      /^(?:[a-z][a-z0-9+.-]*:\/\/)?(\[[0-9a-f:.]+\]|[^/:@\s]+)(?::\d*)?(?:\/.*)?$/i.exec(text) ?? [];
    const meant = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) ? `[${text}]` : host;
    const hint = HOST.test(meant) ? `: write ${meant}` : ', such as mcp.example.com';
    return `must be a name alone, without scheme, port and path${hint}`;
  },
});

/** `gw-b:8082`, `[fd00::7]:8082`. */
const ADDRESS = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?!0+$)\d{1,5}$/;
export const address = z.string().regex(ADDRESS, {
  error: ({ input }) => {
    const text = String(input).trim();
    const [, meant = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#@]+)/i.exec(text) ?? [];
    if (ADDRESS.test(meant)) return `must be HOST:PORT alone, without scheme and path: write ${meant}`;
    if (/^[A-Za-z0-9._-]+$/.test(text)) return `has no port: write ${text}:8082`;
    return 'must be HOST:PORT, such as 10.0.0.3:8082 or [fd00::3]:8082';
  },
});

/** Name and password, percent-encoded, stand in it; the path is the number of the database. */
const REDIS_URL =
  /^rediss?:\/\/(?:[^\s/?#@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:[\]]+)(?::(?!0+(?:\/|$))\d{1,5})?(?:\/\d{0,5})?$/;
export const redisUrl = z
  .string({ error: 'must be a Redis URL, such as redis://127.0.0.1:6379/0' })
  .regex(
    REDIS_URL,
    'must be redis://HOST:PORT/DATABASE or, over TLS, rediss://, with user and password percent-encoded in front of the host where they are needed',
  )
  .transform((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url !== null && isPercentEncoded(url.username) && isPercentEncoded(url.password)) return url;
    const message =
      url === null ? 'is not a URL: is the port over 65535?' : 'has a % that encodes nothing: in a password it is %25';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Of keys in a store that others may use as well. */
export const keyPrefix = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be letters, digits, dots, dashes and underscores, at most 64');

/** `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`. */
const { ipv4, ipv6, cidrv4, cidrv6 } = z.regexes;
const ADDRESSES = [ipv4, ipv6, cidrv4, cidrv6].map(({ source }) => source.replace(/^\^|\$$/g, ''));
export const addressRange = z.string().regex(new RegExp(`^(?:${ADDRESSES.join('|')})$`), {
  error: 'must be an address or a range of addresses, such as 10.0.0.7 or 10.0.0.0/8',
});

/** 32 random bytes, as a text. */
export const sealingSecret = z
  .string({ error: 'must be a text of 32 random bytes, such as `openssl rand -base64 32` prints' })
  .regex(SEALING_SECRET, { error: ({ input }) => secretFault(String(input)) ?? 'is no secret' })
  .superRefine((text, context) => {
    const why = SEALING_SECRET.test(text) ? secretFault(text) : null;
    if (why !== null) context.addIssue({ code: 'custom', message: why });
  });

/** [RFC 6750 2.1] `b64token`, so that it can be sent as it is. Shorter ones can be guessed. */
export const accessToken = z
  .string({ error: 'must be a text, such as `openssl rand -hex 32` prints' })
  .regex(
    /^(?=.{16,512}$)[A-Za-z0-9._~+/-]+=*$/,
    'must be 16 to 512 letters, digits and -._~+/, such as `openssl rand -hex 32` prints',
  );

/** As browsers send it: they leave out the port that goes without saying. */
const ORIGIN =
  /^(?![Hh][Tt]{2}[Pp]:\/\/[^/]*:80$)(?![Hh][Tt]{2}[Pp][Ss]:\/\/[^/]*:443$)[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;
export const pageOrigin = z.string().regex(ORIGIN, {
  error: ({ input }) => {
    const text = String(input).trim();
    if (text.toLowerCase() === 'null')
      return 'is what any page can send, from a frame without an origin: list real ones';
    if (text.includes('*')) return 'is a pattern, and origins are compared as they are: list each origin';
    const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
    // Of what is no web page the origin is not known here.
    const { origin } = URL.canParse(whole) ? new URL(whole) : { origin: 'null' };
    const hint = ORIGIN.test(origin) ? `: write ${origin}` : ', such as https://app.example.com';
    return `must be a scheme and a name, with the port where it is not the usual one, and no path${hint}`;
  },
});
