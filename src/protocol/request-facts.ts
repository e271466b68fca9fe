// The part of an HTTP request that rules may look at. No Fastify types: rules are tested with plain objects.

export interface RequestFacts {
  /** The header's value; an array where it was given more than once. */
  readonly sessionId: string | readonly string[] | undefined;
  readonly protocolVersion: string | readonly string[] | undefined;
}
