// The upstream side of one session: a link of its own, opened anew when it is lost, or a place on the only link of a
// mount that runs on one. Whoever holds it asks for a conversation and does not care which.

import type { Call } from '../bridge/call.ts';
import { ProxyError, asProxyError, isCredentialRefusal, noLongerServed } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Chunks } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import type { LinkCloseReason } from '../domain/states.ts';
import { type CapabilityProfile, EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import { methodRow } from '../protocol/methods.ts';
import type { Handshake, HandshakeOffer } from '../protocol/upstream-handshake.ts';
import { atLatest } from './at-latest.ts';
import type { Conversation } from './conversation.ts';
import type { LinkListener } from '../bridge/link-listener.ts';
import { needsToBeAlone } from './lease-rules.ts';
import type { Mount } from './mount.ts';
import type { Place, Urgency } from './opening-gate.ts';
import { Retry } from './retry.ts';
import type { Wanted } from './wants.ts';

export interface SessionLinkOptions {
  readonly mount: Mount;
  /** The caller, as of its last request. */
  readonly principal: () => Principal;
  /** What the client can be asked. */
  readonly profile: CapabilityProfile;
  /** Said upstream when the link is opened, and again when it is opened anew. */
  readonly offer: HandshakeOffer;
  readonly wants: Wanted;
  readonly listener: LinkListener;
  /** The client listens, so a lost link is opened anew before anybody calls. */
  readonly isListening: () => boolean;
  /** The link was opened anew; the upstream may be another one by now. */
  readonly onReopened: (handshake: Handshake) => void;
}

/** How long a call waits on a shared link until the upstream knows what is wanted. */
const UP_TO_DATE_MS = 1000;
/** A link that ends sooner than this after it opened counts as one that failed to open. */
const SHORT_LIFE_MS = 5000;

export class SessionLink {
  readonly #options: SessionLinkOptions;
  #own: Conversation | null = null;
  /** An attempt to have an open link, for which somebody waits. */
  #opening: Promise<Conversation> | null = null;
  readonly #retry: Retry;
  /** Calls that wait for the link. */
  #callers = 0;
  /** Aborted when the session ends: a link that is still being opened for it is wanted no more. */
  readonly #over = new AbortController();

  constructor(options: SessionLinkOptions) {
    this.#options = options;
    const { mount } = options;
    this.#retry = new Retry(
      mount.timers,
      (failures) => mount.backoffMs(failures),
      () => this.keepOpen(),
    );
  }

  /** The first time. Rejects with a ProxyError. */
  open(): Promise<Handshake> {
    const { mount } = this.#options;
    if (mount.isSingle) return this.#handshakeOfSingle();
    const maxWaitMs = mount.config.links.queueTimeout;
    return this.#openOwn({ urgency: () => 'called', isAgain: false, signal: this.#over.signal, maxWaitMs });
  }

  /**
   * Puts the call on a conversation, as soon as there is one that knows what the session wants. `onDone` is told once,
   * when the call has its outcome; `onBegun` when it runs.
   */
  begin(call: Call, onBegun: (conversation: Conversation) => void, onDone: () => void): void {
    const { queueTimeout, pingInterval } = this.#options.mount.config.links;
    if (this.#options.mount.isSingle) {
      this.#beginOnSingle(call, onBegun, onDone);
      return;
    }
    // One that is being opened anew has not been told yet what the old one knew.
    const current = this.#opening === null && this.#own?.isOpen === true ? this.#own : null;
    if (current !== null && (current.inFlight > 0 || !current.isDoubtful(pingInterval))) {
      this.#beginOnOwn(current, call, onBegun, onDone);
      return;
    }
    let over = false;
    this.#callers++;
    /** True for the first who asks: the link is there, it failed, it took too long, or nobody waits any more. */
    const isFirst = (): boolean => {
      if (over) return false;
      over = true;
      this.#callers--;
      timer.cancel();
      return true;
    };
    const giveUp = (error: ProxyError): void => {
      if (!isFirst()) return;
      onDone();
      call.leaseFailed(error);
    };
    const timer = this.#options.mount.timers.after(queueTimeout, () =>
      giveUp(
        overLimit('upstream_unavailable', 'links.queueTimeout', 'the session’s link did not open in time', {
          outcome: 'not_executed',
        }),
      ),
    );
    call.waits(() => {
      if (isFirst()) onDone();
    });
    this.#ensureOpen().then(
      (conversation) => {
        if (isFirst()) this.#beginOnOwn(conversation, call, onBegun, onDone);
      },
      (thrown: unknown) => {
        // It went over to one link while ours opened.
        if (this.#options.mount.isSingle && isFirst()) this.#beginOnSingle(call, onBegun, onDone);
        else giveUp(asProxyError(thrown));
      },
    );
  }

  /** A notification of the client's. False: there is nothing of this session upstream that it could be about. */
  notify(message: Chunks): boolean {
    if (this.#options.mount.isSingle || this.#own?.isOpen !== true) return false;
    this.#own.notify(message);
    return true;
  }

  /** Opens a lost link anew if the client listens to it; else the next call does. */
  keepOpen(): void {
    const { mount, isListening } = this.#options;
    if (mount.isSingle) {
      mount.onlyLink.keepOpen();
      return;
    }
    if (this.#over.signal.aborted || this.#own?.isOpen === true || this.#opening !== null) return;
    if (!this.#retry.isWaiting && isListening()) this.#ensureOpen().catch(() => {});
  }

  /** The mount runs on one link now: ours ends with its last call. */
  leaveOwn(): void {
    if (this.#own === null || this.#own.inFlight > 0) return;
    this.#own.close('single');
    this.#own = null;
  }

  end(reason: LinkCloseReason): void {
    this.#over.abort(noLongerServed());
    this.#retry.stop();
    this.#own?.close(reason);
    this.#own = null;
  }

  #beginOnOwn(
    conversation: Conversation,
    call: Call,
    onBegun: (conversation: Conversation) => void,
    onDone: () => void,
  ): void {
    conversation.begin(call, { exclusive: false, listener: this.#options.listener }, () => {
      onDone();
      if (this.#options.mount.isSingle) this.leaveOwn();
    });
    onBegun(conversation);
  }

  #beginOnSingle(call: Call, onBegun: (conversation: Conversation) => void, onDone: () => void): void {
    const { mount, profile, listener } = this.#options;
    const principal = this.#options.principal();
    const row = methodRow(call.request.method);
    const exclusive = needsToBeAlone(row, profile);
    const want = { principal, profile: EMPTY_PROFILE, exclusive, mayAskBack: row.mayAskBack === true };
    const leave = mount.lease(want, (result) => {
      if (result instanceof ProxyError) {
        onDone();
        call.leaseFailed(result);
        return;
      }
      const { conversation } = result;
      const begin = (): void => {
        if (!conversation.isOpen) {
          result.release('reuse');
          onDone();
          call.leaseFailed(new ProxyError('upstream_session_lost', 'the link closed', { outcome: 'not_executed' }));
          return;
        }
        conversation.begin(call, { exclusive, listener: listener }, (how) => {
          onDone();
          result.release(how);
        });
        onBegun(conversation);
      };
      const upToDate = conversation.bringUpToDate(mount.onlyLink.wants);
      if (upToDate === null) {
        begin();
        return;
      }
      // What others on the link want must not hold up everybody: after a while it goes on beside the call.
      const beginOnce = atLatest(mount.timers, UP_TO_DATE_MS, begin);
      void upToDate.then(beginOnce, beginOnce);
    });
    call.waits(() => {
      leave();
      onDone();
    });
  }

  /** The session's link, pinged if it is in doubt, opened anew if it is gone: one attempt for all who wait. */
  #ensureOpen(): Promise<Conversation> {
    if (this.#opening !== null) return this.#opening;
    this.#opening = this.#revive().finally(() => {
      this.#opening = null;
    });
    // Whoever made the attempt: a client that listens needs another one.
    // One whose credential is refused first has to come with another.
    this.#opening.catch((thrown: unknown) => {
      const isWorthIt = !isCredentialRefusal(asProxyError(thrown));
      this.#retry.failed(isWorthIt && !this.#over.signal.aborted && this.#options.isListening());
    });
    return this.#opening;
  }

  async #revive(): Promise<Conversation> {
    const { mount, wants, onReopened } = this.#options;
    const doubtful = this.#own;
    if (doubtful?.isOpen === true) {
      const isAlive = await doubtful.ping(mount.config.links.pingTimeout);
      if (isAlive && doubtful.isOpen) return doubtful;
      doubtful.close('lost');
    }
    // With the session's own initialize: the upstream session behind the old link is gone, and with it all that it had
    // been told.
    const handshake = await this.#openOwn({ urgency: () => this.#urgency, isAgain: true, signal: this.#over.signal });
    await this.#own?.bringUpToDate(wants);
    if (this.#own === null) throw new ProxyError('upstream_session_lost', 'the session’s link closed again');
    this.#retry.stop();
    mount.journal.record({ fact: 'session_reopened', upstream: mount.name });
    onReopened(handshake);
    return this.#own;
  }

  /** Of the link that is opened anew, at this moment. */
  get #urgency(): Urgency | null {
    if (this.#callers > 0) return 'called';
    return this.#options.isListening() ? 'idle' : null;
  }

  /** Opens the session's own link; if the mount went over to one link meanwhile, it is closed again at once. */
  async #openOwn(how: Place): Promise<Handshake> {
    const { mount, principal, offer, listener } = this.#options;
    if (mount.dedicatedCount >= mount.config.links.maxDedicated) {
      throw overLimit('sessions_limit', 'links.maxDedicated', 'too many sessions hold a link', {
        outcome: 'not_executed',
      });
    }
    const { conversation, handshake } = await mount.openDedicated(how, principal, offer, listener, (closed, error) => {
      if (this.#own !== closed) return;
      this.#own = null;
      if (error === null || this.#over.signal.aborted) return;
      // An upstream that cuts every link at once must not be dialled at once either.
      if (mount.clock.now() - openedAt >= SHORT_LIFE_MS) this.#retry.succeeded();
      this.#retry.failed(this.#options.isListening());
    });
    const openedAt = mount.clock.now();
    if (this.#over.signal.aborted) conversation.close('session_ended');
    else if (mount.isSingle) conversation.close('single');
    else if (conversation.isOpen) this.#own = conversation;
    return handshake;
  }

  #handshakeOfSingle(): Promise<Handshake> {
    const { mount } = this.#options;
    const principal = this.#options.principal();
    return new Promise((resolve, reject) => {
      const { signal } = this.#over;
      const leave = mount.handshake(principal, (handshake) => {
        if (handshake instanceof ProxyError) reject(handshake);
        else resolve(handshake);
      });
      signal.addEventListener('abort', () => {
        leave();
        reject(signal.reason);
      });
    });
  }
}
