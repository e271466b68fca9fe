// What a probe has seen of a server, as data: the sockets in io/ fill it in, the rest of this folder reads it. Whatever
// stands here in a server's words is still as the server sent it, but for its length.

import type { ErrorCode } from '../domain/errors.ts';
import type { Dropped } from '../domain/drops.ts';

/** Milliseconds of each step; null where it was not come to, or there is nothing to do in it. */
export interface Timings {
  readonly dns: number | null;
  readonly tcp: number | null;
  readonly tls: number | null;
  /** Until the head of the response. */
  readonly head: number | null;
  readonly endpoint: number | null;
  readonly initialize: number | null;
}

export interface Head {
  readonly status: number;
  /** Those that say something about a server, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Why it went no further. */
export interface Failure {
  readonly code: ErrorCode;
  /** Ours, without URLs and secrets. */
  readonly why: string;
  /** Of the system or a library, such as ECONNREFUSED; null where it was not a socket that failed. */
  readonly network: string | null;
}

/** How a message that we sent was taken. */
export interface Posted {
  readonly status: number;
  readonly type: string;
  /** The beginning of the body. */
  readonly body: string;
}

export interface Introduction {
  readonly revision: string;
  /** Name and version. */
  readonly server: string;
  readonly capabilities: unknown;
}

export const LISTS = ['tools', 'prompts', 'resources'] as const;
export type List = (typeof LISTS)[number];

export interface Counted {
  readonly count: number;
  /** Why there may be more than were counted; null: these are all. */
  readonly stopped: 'time' | 'pages' | 'repeats' | 'refused' | null;
}

/** Null: it does not say that it has any. */
export type Counts = { readonly [list in List]: Counted | null };

/** A sign of life that nobody asked for. */
export interface Beat {
  readonly kind: 'comment' | 'ping' | 'event';
  /** Milliseconds after the head of the stream. */
  readonly atMs: number;
}

/** One event stream, from its connection to its end. */
export interface StreamSeen {
  readonly timings: Timings;
  /** Where it got as far as that. */
  readonly head: Head | null;
  readonly bytes: number;
  /** The first bytes of the stream, one character for each. */
  readonly beginning: string;
  /** The endpoint event. */
  readonly announced: string | null;
  readonly posts: readonly Posted[];
  /** Set once it answered initialize, with the beginning of that answer. */
  readonly introduction: (Introduction & { readonly answer: string }) | null;
  readonly counts: Counts | null;
  readonly beats: readonly Beat[];
  /** How long it was listened to, from the head on. */
  readonly listenedMs: number;
  /** It was open, and then it ended, by itself. */
  readonly isLost: boolean;
  readonly dropped: readonly Dropped[];
  readonly failure: Failure | null;
}

/** What a URL answers to a POST, as clients of Streamable HTTP make it. */
export type StreamableSeen =
  | {
      readonly speaks: true;
      readonly url: URL;
      /** Newest first. */
      readonly revisions: readonly string[];
      readonly hasSessions: boolean;
      readonly introduction: Introduction;
      readonly counts: Counts;
    }
  | {
      readonly speaks: false;
      readonly url: URL;
      /** Null: there was no answer. */
      readonly status: number | null;
      /** Of a 401: what it wants. */
      readonly challenge: string;
      readonly network: string | null;
    };

export interface CertificateSeen {
  readonly protocol: string;
  readonly subject: string;
  readonly issuer: string;
  readonly names: string;
  readonly validFrom: string;
  readonly validTo: string;
  /** Null: the certificate is trusted, else the code of why not. */
  readonly distrust: string | null;
}

/** What a second stream did to the first. */
export type SecondStream =
  | 'independent'
  | 'refused'
  | 'ends_first'
  | 'takes_over'
  | 'broadcasts'
  /** Time was up. */
  | 'unknown';

export interface Elsewhere {
  readonly url: URL;
  readonly is: 'http_sse' | 'streamable_http';
}

export interface Seen {
  readonly url: URL;
  /** It was dialled with more than may be shown: credentials, a query, flags. */
  readonly isDialledWithMore: boolean;
  /** As configured, or as it was found to be needed. */
  readonly messageUrl: URL | null;
  readonly stream: StreamSeen;
  /** At the URL itself, or beside it. */
  readonly streamable: StreamableSeen | null;
  readonly elsewhere: readonly Elsewhere[];
  /** Null: http, or there was no answer. */
  readonly certificate: CertificateSeen | null;
  /** Null: nobody asked. */
  readonly second: SecondStream | null;
  /** After the probe had left, nothing answered any more. */
  readonly goneAfter: boolean;
  /** Nothing more was tried, since time was up. */
  readonly wasCut: boolean;
}
