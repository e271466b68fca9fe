// Branded identifiers: strings and numbers that the compiler keeps apart. None of them is ever chosen by a peer.

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** One SSE stream to an upstream and its POST URL; a counter per process, for logs. */
export type LinkId = Branded<number, 'LinkId'>;
/** The text of a sealed `Mcp-Session-Id`. */
export type SessionId = Branded<string, 'SessionId'>;
/**
 * The JSON-RPC id (and progress token) of one call toward the upstream: an integer below 2^40, from one counter per
 * mount with a random start, never repeated. Toward the client its own id is used, byte for byte.
 */
export type CallId = Branded<number, 'CallId'>;

// The brand exists for the compiler only, so making one is a cast; these three are the only places that do.
export const linkId = (value: number): LinkId => value as LinkId;
export const sessionId = (value: string): SessionId => value as SessionId;
export const callId = (value: number): CallId => value as CallId;

/** Ids stay below this, so that they survive every JSON implementation as integers. */
export const CALL_ID_LIMIT = 2 ** 40;
