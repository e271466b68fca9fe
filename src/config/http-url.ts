// URLs of servers: which are taken, and what is wrong with the others, in words that say what to write instead.

import { nearest } from './nearest.ts';
import { redactedText } from './redacted-url.ts';

const USER = String.raw`(?:[^\s/?#@]*@)?`;
const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:[\]%<>^|\\"` + '`' + String.raw`{}]+)`;
const PORT = String.raw`(?::(?!0+(?:[/?]|$))\d{1,5})?`;
/** Without a fragment: no server ever gets one, so what follows a # would be lost without a word. */
const urlPattern = (user: string): RegExp =>
  new RegExp(String.raw`^[hH][tT]{2}[pP][sS]?:\/\/${user}${HOST}${PORT}(?:[/?][^\s#]*)?$`);
export const HTTP_URL = urlPattern(USER);
export const HTTP_URL_WITHOUT_USER = urlPattern('');

const EXAMPLE = 'must be an http or https URL, such as http://127.0.0.1:9001/sse';

/** Several URLs of one server in one text. */
export function urlsIn(text: string): string[] {
  return text.trim().split(/[\s,]+(?=https?:\/\/)/i);
}

/** What is wrong with it, without what is secret in it; null where it can be used. */
export function urlFault(text: string): string | null {
  if (text.trim() === '') return 'is empty: write a URL such as http://127.0.0.1:9001/sse';
  if (!HTTP_URL.test(text)) return formFault(text.trim());
  if (!URL.canParse(text)) return 'is not a URL: is the port over 65535?';
  const { username, password } = new URL(text);
  try {
    decodeURIComponent(username + password);
    return null;
  } catch {
    return 'holds a user name or password that is not percent-encoded';
  }
}

function formFault(text: string): string {
  const [, scheme = '', slashes = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(\/*)(.*)$/is.exec(text) ?? [];
  const isHttp = /^https?$/i.test(scheme);
  if (isHttp && slashes === '//') return partFault(rest);
  if (isHttp && rest !== '') return `${EXAMPLE}${instead(`${scheme}://${rest}`)}`;
  if (slashes === '//') {
    const meant = nearest(scheme, ['http', 'https']);
    return meant === null ? EXAMPLE : `${EXAMPLE}${instead(`${meant}://${rest}`)}`;
  }
  const [, almost = text] = /^https?\/+(.*)$/is.exec(text) ?? [];
  const whole = `http://${almost}`;
  // A word alone may be anything, a secret too.
  const isHost = /^(?:[^@]*@)?(?:\[|[\w.-]+[:/?]|[\w-]+\.[\w.-]+$|localhost$)/.test(almost);
  return isHost && HTTP_URL.test(whole) ? `has no scheme: write ${redactedText(whole)}` : EXAMPLE;
}

/** Of one that begins well. */
function partFault(rest: string): string {
  if (/^[^#]*[^\s/?#@][^#]*#\S*$/.test(rest)) {
    return 'has a fragment, which no server ever gets: leave out # and what follows, or write %23 where # is meant';
  }
  if (/^(?:[^/?#]*@)?[^/?#]*:0+(?:[/?]|$)/.test(rest)) return 'has port 0, at which no server can be reached';
  return EXAMPLE;
}

function instead(url: string): string {
  return HTTP_URL.test(url) ? ` (did you mean ${redactedText(url)}?)` : '';
}
