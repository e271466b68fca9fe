// The part of an HTTP request that rules may look at. No Fastify types: rules are tested with plain objects.

/** How an upstream is served: as the client asks for it, never with sessions, or with nothing else. */
export type Mode = 'auto' | 'stateless' | 'session';

export interface RequestFacts {
  readonly mode: Mode;
  /** The header's value; an array where it was given more than once. */
  readonly sessionId: string | readonly string[] | undefined;
  /** False: no session of this id is known. Absent: it may be one. */
  readonly isLiveSession?: boolean;
  readonly protocolVersion: string | readonly string[] | undefined;
  /** Every occurrence of a header, by its lower-case name. */
  readonly headers: HeaderValues;
}

/** Empty where the header is absent. Values are as node reads them: a character for each byte. */
export type HeaderValues = (name: string) => readonly string[];
