// A request of 2026-07-28 with what is worked out of it once.

import type { Exchange } from '../bridge/exchange.ts';
import { type ErrorCode, ProxyError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import type { Request } from '../protocol/json-rpc.ts';
import type { LogLevel } from '../protocol/log-level.ts';
import type { MethodRow } from '../protocol/methods.ts';
import type { Envelope } from '../protocol/modern-envelope.ts';
import type { HeaderValues } from '../protocol/request-facts.ts';
import type { Catalog } from './catalog.ts';
import type { Mount } from './mount.ts';

export interface ModernRequest {
  readonly mount: Mount;
  readonly principal: Principal;
  readonly request: Request;
  readonly exchange: Exchange;
  readonly headers: HeaderValues;
}

export interface Ask extends ModernRequest {
  readonly row: MethodRow;
  readonly envelope: Envelope;
  readonly logLevel: LogLevel | null;
  /** What is declared upstream. */
  readonly profile: CapabilityProfile;
  /** What the upstream may ask back. */
  readonly answerable: CapabilityProfile;
  readonly catalog: Catalog;
}

/** Ends the exchange with a failure of the request itself. */
export function fail(exchange: Exchange, code: ErrorCode, why: string): void {
  exchange.finish({ kind: 'error', error: new ProxyError(code, why) });
}
