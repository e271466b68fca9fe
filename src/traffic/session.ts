// One Mcp-Session-Id: one principal and one dedicated conversation, or a place on the only link of a mount that runs on
// one. Its calls, by the client's ids, so that the client can cancel them.

import { Call, type Repeatable } from '../bridge/call.ts';
import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import type { SessionId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import type { SessionState } from '../domain/states.ts';
import { EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import type { ServedRevision } from '../protocol/eras.ts';
import { type Notification, type Request, bytesOf, textOf } from '../protocol/json-rpc.ts';
import type { Member } from '../protocol/json-scanner.ts';
import { isTaskMethod } from '../protocol/methods.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import type { Conversation } from './conversation.ts';
import type { Mount } from './mount.ts';

export interface SessionOptions {
  readonly id: SessionId;
  readonly mount: Mount;
  readonly principal: Principal;
  /** What the client and we agreed on. */
  readonly revision: ServedRevision;
  /** Said upstream when the link is opened, and again when it is opened anew. */
  readonly offer: HandshakeOffer;
}

export class Session {
  readonly id: SessionId;
  readonly principal: Principal;
  readonly mount: Mount;
  readonly revision: ServedRevision;
  readonly createdAt: number;
  #state: SessionState = { phase: 'opening' };
  #usedAt: number;
  #conversation: Conversation | null = null;
  /** An attempt to have an open link, for which somebody waits. */
  #opening: Promise<Conversation> | null = null;
  /** Open calls by the client's id, as its bytes read. */
  readonly #calls = new Map<string, Call>();
  readonly #offer: HandshakeOffer;
  readonly #forgetSingle: () => void;

  constructor(options: SessionOptions) {
    this.id = options.id;
    this.principal = options.principal;
    this.mount = options.mount;
    this.revision = options.revision;
    this.#offer = options.offer;
    this.createdAt = this.#usedAt = options.mount.clock.now();
    this.#forgetSingle = this.mount.onSingle(() => this.#leaveOwnLink());
  }

  get state(): SessionState {
    return this.#state;
  }

  /** When the session was last used; now, while a call is open. */
  get usedAt(): number {
    return this.#calls.size > 0 ? this.mount.clock.now() : this.#usedAt;
  }

  /** Initializes upstream. Rejects with a ProxyError, and the session is over then. */
  async open(): Promise<Handshake> {
    try {
      const handshake = this.mount.isSingle ? await this.#handshakeOfSingle() : await this.#openOwn();
      // Ended while it opened: the client left, or the gateway shuts down.
      if (this.#state.phase === 'ended') throw new ProxyError('draining', 'the session ended while it opened');
      this.#state = { phase: 'live' };
      return handshake;
    } catch (thrown) {
      this.end('failed');
      throw thrown;
    }
  }

  /** One request of the client. */
  serve(request: Request, exchange: Exchange): void {
    this.#usedAt = this.mount.clock.now();
    if (request.method === 'ping') {
      exchange.finish({ kind: 'own', result: {} });
    } else if (isTaskMethod(request.method)) {
      exchange.finish({ kind: 'error', error: new ProxyError('method_not_found', 'tasks are not served') });
    } else {
      this.#attempt(request, exchange, 1);
    }
  }

  /** One notification of the client. False: it was dropped. */
  notified(message: Notification): boolean {
    this.#usedAt = this.mount.clock.now();
    switch (message.method) {
      case 'notifications/initialized':
        // The link has said it itself, when it opened.
        return true;
      case 'notifications/cancelled':
        return this.#cancelled(message);
      case 'notifications/roots/list_changed':
      case 'notifications/progress':
        // Of a capability that was not declared upstream, or of a request that was not passed on.
        return false;
      default:
        if (this.mount.isSingle || this.#conversation?.isOpen !== true) return false;
        this.#conversation.notify([message.bytes]);
        return true;
    }
  }

  /** Idempotent. What is open is answered, the link is closed. */
  end(why: (SessionState & { phase: 'ended' })['why']): void {
    if (this.#state.phase === 'ended') return;
    const wasLive = this.#state.phase === 'live';
    this.#state = { phase: 'ended', why };
    this.#forgetSingle();
    const error =
      why === 'shutdown'
        ? new ProxyError('draining', 'the gateway is shutting down')
        : new ProxyError('session_ended', 'the session has ended');
    for (const call of this.#calls.values()) call.stopped(error);
    this.#conversation?.close(why === 'shutdown' ? 'shutdown' : 'session_ended');
    this.#conversation = null;
    if (wasLive) this.mount.journal.record({ fact: 'session_ended', upstream: this.mount.name, why });
  }

  #attempt(request: Request, exchange: Exchange, count: number): void {
    const key = idText(request.bytes, request.id);
    const call = new Call({
      request,
      exchange,
      ...this.mount.callOptions,
      again: (repeatable: Repeatable) => {
        // Only what certainly never ran: the new link is a new upstream session, which the client must hear of before
        // it reads from it.
        if (repeatable !== 'refused' || count > 1 || this.#state.phase !== 'live') return false;
        this.#attempt(request, exchange, count + 1);
        return true;
      },
    });
    this.#calls.set(key, call);
    const done = (): void => {
      this.#usedAt = this.mount.clock.now();
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    };
    if (this.mount.isSingle) this.#onSingleLink(call, done);
    else this.#onOwnLink(call, done);
  }

  #onOwnLink(call: Call, done: () => void): void {
    const begin = (conversation: Conversation): void => {
      conversation.begin(call, false, () => {
        done();
        if (this.mount.isSingle) this.#leaveOwnLink();
      });
    };
    const { queueTimeout, pingInterval } = this.mount.config.links;
    const current = this.#conversation?.isOpen === true ? this.#conversation : null;
    if (current !== null && (current.inFlight > 0 || !current.isDoubtful(pingInterval))) {
      begin(current);
      return;
    }
    let over = false;
    const timer = this.mount.timers.after(queueTimeout, () => {
      giveUp(
        new ProxyError('upstream_unavailable', 'the session’s link did not open in time (links.queueTimeout)', {
          outcome: 'not_executed',
        }),
      );
    });
    /** True for the first who asks: the link is there, it failed, it took too long, or nobody waits any more. */
    const isFirst = (): boolean => {
      if (over) return false;
      over = true;
      timer.cancel();
      return true;
    };
    const giveUp = (error: ProxyError): void => {
      if (!isFirst()) return;
      done();
      call.leaseFailed(error);
    };
    call.waits(() => {
      if (isFirst()) done();
    });
    this.#ensureOpen().then(
      (conversation) => {
        if (isFirst()) begin(conversation);
      },
      (thrown: unknown) => {
        // It went over to one link while ours opened.
        if (this.mount.isSingle && isFirst()) this.#onSingleLink(call, done);
        else giveUp(asProxyError(thrown));
      },
    );
  }

  #onSingleLink(call: Call, done: () => void): void {
    const want = { principal: this.principal, profile: EMPTY_PROFILE, exclusive: false };
    const leave = this.mount.lease(want, (result) => {
      if (result instanceof ProxyError) {
        done();
        call.leaseFailed(result);
        return;
      }
      result.conversation.begin(call, false, (how) => {
        done();
        result.release(how);
      });
    });
    call.waits(() => {
      leave();
      done();
    });
  }

  /** The session's link, pinged if it is in doubt, opened anew if it is gone: one attempt for all who wait. */
  #ensureOpen(): Promise<Conversation> {
    this.#opening ??= this.#revive().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #revive(): Promise<Conversation> {
    const doubtful = this.#conversation;
    if (doubtful?.isOpen === true) {
      const isAlive = await doubtful.ping(this.mount.config.links.pingTimeout);
      if (isAlive && doubtful.isOpen) return doubtful;
      doubtful.close('lost');
    }
    // With the session's own initialize: the upstream session behind the old link is gone.
    await this.#openOwn();
    if (this.#conversation === null) throw new ProxyError('upstream_session_lost', 'the session’s link closed again');
    return this.#conversation;
  }

  /** Opens the session's own link; if the mount went over to one link meanwhile, it is closed again at once. */
  async #openOwn(): Promise<Handshake> {
    const { maxDedicated } = this.mount.config.links;
    if (this.mount.dedicatedCount >= maxDedicated) {
      throw new ProxyError('sessions_limit', 'too many sessions hold a link (links.maxDedicated)', {
        outcome: 'not_executed',
      });
    }
    const { conversation, handshake } = await this.mount.openDedicated(this.#offer, (closed) => {
      if (this.#conversation === closed) this.#conversation = null;
    });
    if (this.#state.phase === 'ended') conversation.close('session_ended');
    else if (this.mount.isSingle) conversation.close('single');
    else if (conversation.isOpen) this.#conversation = conversation;
    return handshake;
  }

  #handshakeOfSingle(): Promise<Handshake> {
    return new Promise((resolve, reject) => {
      const want = { principal: this.principal, profile: EMPTY_PROFILE, exclusive: false };
      this.mount.lease(want, (result) => {
        if (result instanceof ProxyError) {
          reject(result);
          return;
        }
        resolve(this.mount.handshakeOf(result.conversation));
        result.release('reuse');
      });
    });
  }

  /** The mount runs on one link now: ours ends with its last call. */
  #leaveOwnLink(): void {
    if (this.#conversation === null || this.#conversation.inFlight > 0) return;
    this.#conversation.close('single');
    this.#conversation = null;
  }

  #cancelled(message: Notification): boolean {
    const named = message.params?.members.get('requestId');
    const call = named === undefined ? undefined : this.#calls.get(idText(message.bytes, named));
    if (call === undefined) return false;
    call.cancelledByClient(message);
    return true;
  }
}

/** `1` and `"1"` are two ids, `"a"` and `"\u0061"` are one. */
function idText(bytes: Uint8Array, id: Member): string {
  return id.kind === 'string' ? JSON.stringify(textOf(bytes, id)) : Buffer.from(bytesOf(bytes, id)).toString('latin1');
}
