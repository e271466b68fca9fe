// What a client's initialize asks for. Throws where it cannot be used.

import { ProxyError } from '../domain/errors.ts';
import { type Request, bytesOf, encode, textOf } from './json-rpc.ts';

export interface InitializeRequest {
  /** The revision that the client asks for, whatever it is. */
  readonly requested: string;
  /** Whole JSON objects, the client's own bytes. */
  readonly capabilities: Uint8Array;
  readonly clientInfo: Uint8Array;
}

const MAX_CLIENT_INFO_BYTES = 8192;
const MAX_CAPABILITIES_BYTES = 65_536;
const UNNAMED = encode('{"name":"unnamed","version":"0"}');
const NOTHING_DECLARED = encode('{}');

/** Throws a ProxyError. */
export function readInitialize({ bytes, params }: Request): InitializeRequest {
  const version = params?.members.get('protocolVersion');
  if (version?.kind !== 'string') {
    throw new ProxyError('invalid_request', 'params.protocolVersion of initialize must be a string');
  }
  // Copies: the session would otherwise keep the whole request alive.
  const object = (name: string, maxBytes: number): Uint8Array | null => {
    const member = params?.members.get(name);
    if (member !== undefined && member.end - member.start > maxBytes) {
      throw new ProxyError('invalid_request', `params.${name} of initialize is larger than ${maxBytes} bytes`);
    }
    return member?.kind === 'object' ? new Uint8Array(bytesOf(bytes, member)) : null;
  };
  return {
    requested: textOf(bytes, version),
    capabilities: object('capabilities', MAX_CAPABILITIES_BYTES) ?? NOTHING_DECLARED,
    clientInfo: object('clientInfo', MAX_CLIENT_INFO_BYTES) ?? UNNAMED,
  };
}
