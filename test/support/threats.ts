// What somebody could try, one row each, and what holds then. A test that tries it over sockets names the row at the end of
// its title; the table of SECURITY.md is printed from the rows and from the tests that passed, and
// `npm run test:mutation` shows that they fail once the guard is gone (test/mutation/mutants.ts).
//
// Numbers are for good.

import type { TestCase } from 'vitest/node';
import { table } from './markdown-table.ts';
import { type Row, shownBy, testLinks } from './rows.ts';

export interface Threat extends Row {
  readonly attack: string;
}

export const THREATS: Readonly<Record<string, Threat>> = {
  T1: {
    attack: 'a server announces an endpoint on another origin, by whatever spelling of a URL',
    says: 'the link fails with `endpoint_refused`; nobody is visited, and no credential is sent',
  },
  T2: {
    attack: 'a second endpoint event in mid-session',
    says: 'of the same origin: ignored and counted, messages go where they went; of another: the link is closed',
  },
  T3: {
    attack: 'a server answers with a redirect',
    says: 'never followed, whatever it answers: 502 for a stream, that call’s error for a message',
  },
  T4: {
    attack: 'a page in a browser rebinds its name to the gateway’s address',
    says: '`Host` and `Origin` are checked on every route of every listener (of the probes, which say nothing, `Origin` alone), on a public address too; two Hosts and targets of another authority are refused',
  },
  T5: {
    attack: 'clients that use equal ids and progress tokens at the same time',
    says: 'no id or token of a client goes upstream; each gets its own back, byte for byte',
  },
  T6: {
    attack: 'a server answers what nobody asked, twice, or on the link of somebody else',
    says: 'dropped and counted; the answer that was asked for arrives',
  },
  T7: {
    attack: 'a caller uses the session, the stream, the state or the message URL of another',
    says: 'each is sealed for its principal: the answer is that for an unknown one, and its owner notices nothing',
  },
  T8: {
    attack: 'tokens that are changed, cut short, expired, of another key, process or upstream',
    says: 'authenticated encryption; all of them get one answer by one path, and nothing of why',
  },
  T9: {
    attack: 'a second stream takes the place of a session’s first',
    says: '409 while the first is read; for another principal the session is unknown. Never a silent swap',
  },
  T10: {
    attack: 'line ends and control characters in results and event ids, to forge events',
    says: 'each message is exactly one event; an event id is read only where it is one that we wrote',
  },
  T11: {
    attack: 'a request that two readers would end in different places',
    says: '400; nothing of it goes upstream, and nothing that stands behind it on its connection is read',
  },
  T12: {
    attack: 'hop-by-hop and other headers that should not cross',
    says: 'headers cross by allow-list, both ways; requests that carry legal ones are served',
  },
  T13: {
    attack: '`X-Forwarded-*` and `Forwarded` that say who sent a request',
    says: 'nothing is decided by them, and none goes upstream; log lines believe `X-Forwarded-For` of `trustedProxies` alone',
  },
  T14: {
    attack: 'a client’s credentials end up at the server',
    says: '`Authorization`, cookies and the query of a request never cross, but headers that are listed (`outbound.forward`), each over links of its own; the server gets the configured ones alone',
  },
  T15: {
    attack: 'somebody else answers for an `https` server',
    says: 'certificates are verified whatever the environment says, against `tls.ca` where it is given: 502, and no byte of a request; only `tls.insecureSkipVerify` turns that off, and is told',
  },
  T16: {
    attack: 'secrets in logs, errors and metrics',
    says: 'one list says what is secret; URLs are shown without userinfo and query, headers without values, and nothing of a failure’s own text is repeated, nor what came from a variable or a file',
  },
  T17: {
    attack: 'clients that send a byte at a time, never end, or say nothing',
    says: 'each wait has an end (`timeouts.clientHeaders`, `timeouts.clientBody`, `timeouts.keepAlive`); others are served meanwhile',
  },
  T18: {
    attack: 'bodies that are too large, too deep, or of too many parts',
    says: 'refused as soon as that is known (`limits.bodyBytes`, `limits.jsonDepth`, `limits.batch`), at the cost of the bytes that came; all together bounded by `limits.receivedBytes`',
  },
  T19: {
    attack: 'a server that sends without end, or something that unpacks to much',
    says: 'bounded by `limits.upstreamMessageBytes`; nothing is unpacked; the link is closed with its reason, others go on',
  },
  T20: {
    attack: 'sessions opened without end',
    says: '503 at the limits (`limits.sessions`, `links.maxDedicated`, and for each caller `budgets`), and no connection to the server beyond them; others are served',
  },
  T21: {
    attack: '`__proto__` and its like as names: in messages, headers, queries, the configuration',
    says: 'messages cross as bytes; where a name is looked up, only own members count',
  },
  T22: {
    attack: 'texts that take a pattern long to read',
    says: 'bounded by the size of headers, and read in one pass',
  },
  T23: {
    attack: 'a page posts a form or plain text, which browsers send without asking first',
    says: '415 without a JSON content type, whoever sends it; 403 with a foreign `Origin`',
  },
  T24: {
    attack: 'pages that may call, and pages that may not, by CORS',
    says: 'an exact list of origins: each is told its own name, never `*`, and that of cookies nothing is taken; others are told nothing',
  },
  T25: {
    attack: 'other spellings of a path, to get past a rule or to another server',
    says: 'a path is served in its one spelling, with or without a slash at its end, else 404',
  },
  T26: {
    attack: 'CONNECT, TRACE, `Upgrade`, and methods that nobody expects',
    says: '405, no tunnel; a request with `Upgrade` is served as what else it is, and is the last of its connection',
  },
  T27: {
    attack: 'headers that say something else than the body, for whoever decides by headers',
    says: 'missing, other, encoded wrongly or given twice: −32020 in a 400, and nothing goes upstream',
  },
  T28: {
    attack: 'the admin listener, from a page or from the side of the clients',
    says: 'an address of its own, off by default; the same guards; with `admin.token` 401 without it, and on a public address no start without one; nothing there changes anything but a reload of the file',
  },
  T29: {
    attack: 'names and texts that are markup, on the status page: of servers, tools, methods and clients',
    says: 'escaped text, without what cannot be seen; the page has no script, its policy lets none run or load, and its size is bounded',
  },
  T30: {
    attack:
      'a store that others write to: values of their own, of other sessions, of wrong types, far too large; the mark of another deployment',
    says: 'every value is sealed for the one place where it stands, and that is of one caller; anything else is passed over and counted, and what lives is written anew. A store marked by others is refused at the start',
  },
  T31: {
    attack: 'secrets in a file that others may read, or in the command line',
    says: 'a secret file that others may read is told, at the start, at a reload and by `check`; secrets have variables and files, and as a flag they are refused',
  },
  T32: {
    attack: 'a dependency that runs something when it is installed, or is another than was tested',
    says: 'at most twelve direct ones, all pinned with their digests, and none that runs a script for production',
  },
  T33: {
    attack: 'a key or a token that is guessed, forged, expired, taken away, or for somebody else',
    says: '401 at whatever is served but probes and metadata, and nothing goes upstream; what counts is who is let in when the body has come',
  },
  T34: {
    attack:
      'a request at the listener for replicas that none of them has passed on: forged, changed, kept for later, sent twice, meant for another',
    says: 'sealed for one replica and ten seconds, taken once; else 403 by one path, counted, and nothing of it reaches a session. The listener for clients takes no notice of such a header',
  },
  T35: {
    attack: 'a token whose owner is no replica, or a name that leads somewhere else by now',
    says: 'peers are a list, or the addresses of one name; nobody else is dialled, and what was looked up is what is dialled',
  },
};

export function threats(passed: readonly TestCase[]): string {
  const byRow = shownBy(passed);
  return table(
    ['', 'what is tried', 'what holds', 'guarded by'],
    Object.entries(THREATS).map(([id, { attack, says, notYet }]) => {
      const where = testLinks(byRow.get(id) ?? [], '.');
      return [id, attack, says, where || `– (${notYet ?? 'no test'})`];
    }),
  );
}
