// One row per MCP method that a client may send. Rules with many cells are data, read once.

export interface MethodRow {
  readonly kind: 'request' | 'notification';
  /** The member of params that names a tool, prompt or resource: for logs, and later for headers. */
  readonly nameFrom?: 'name' | 'uri';
  /** The upstream may put a question back (sampling, elicitation, roots) while it works on this one. */
  readonly mayAskBack?: true;
  /** Reading only: doing it twice is doing it once, so it may be sent again after a loss. */
  readonly safeToRetry?: true;
  /**
   * Who serves it to a client without a session. `us`: answered here. `nobody`: it changes state of an upstream
   * session, which such a client does not have, or nothing could be delivered. Absent: the upstream.
   */
  readonly withoutSession?: 'us' | 'nobody';
  /** Who serves it to a client of 2026-07-28; absent: it does not exist there, or the extension is not served. */
  readonly modern?: 'us' | 'upstream';
  /** A result that such a client is told how long to keep. */
  readonly cacheable?: true;
  /** The capability that an upstream must have declared; without, the method does not exist there. */
  readonly offeredBy?: 'tools' | 'prompts' | 'resources';
}

export const METHODS: Readonly<Record<string, MethodRow>> = {
  'server/discover': { kind: 'request', modern: 'us', cacheable: true },
  'subscriptions/listen': { kind: 'request', modern: 'us' },
  initialize: { kind: 'request' },
  ping: { kind: 'request', withoutSession: 'us' },
  'tools/list': { kind: 'request', safeToRetry: true, modern: 'upstream', cacheable: true, offeredBy: 'tools' },
  'tools/call': { kind: 'request', nameFrom: 'name', mayAskBack: true, modern: 'upstream', offeredBy: 'tools' },
  'prompts/list': { kind: 'request', safeToRetry: true, modern: 'upstream', cacheable: true, offeredBy: 'prompts' },
  'prompts/get': {
    kind: 'request',
    nameFrom: 'name',
    mayAskBack: true,
    safeToRetry: true,
    modern: 'upstream',
    offeredBy: 'prompts',
  },
  'resources/list': { kind: 'request', safeToRetry: true, modern: 'upstream', cacheable: true, offeredBy: 'resources' },
  'resources/templates/list': {
    kind: 'request',
    safeToRetry: true,
    modern: 'upstream',
    cacheable: true,
    offeredBy: 'resources',
  },
  'resources/read': {
    kind: 'request',
    nameFrom: 'uri',
    mayAskBack: true,
    safeToRetry: true,
    modern: 'upstream',
    cacheable: true,
    offeredBy: 'resources',
  },
  'resources/subscribe': { kind: 'request', nameFrom: 'uri', withoutSession: 'nobody' },
  'resources/unsubscribe': { kind: 'request', nameFrom: 'uri', withoutSession: 'nobody' },
  // Revision 2024-11-05 has the method without a capability for it.
  'completion/complete': { kind: 'request', safeToRetry: true, modern: 'upstream' },
  'logging/setLevel': { kind: 'request', withoutSession: 'nobody' },
  'notifications/initialized': { kind: 'notification' },
  'notifications/cancelled': { kind: 'notification' },
  'notifications/progress': { kind: 'notification' },
  'notifications/roots/list_changed': { kind: 'notification' },
};

/** Methods we do not know are the upstream's business: they are passed on, and never sent twice. */
const UNKNOWN: MethodRow = { kind: 'request' };

export function methodRow(method: string): MethodRow {
  return Object.hasOwn(METHODS, method) ? (METHODS[method] ?? UNKNOWN) : UNKNOWN;
}

/** Tasks of 2025-11-25 are not bridged: they are neither declared to either side nor passed on. */
export function isTaskMethod(method: string): boolean {
  return method.startsWith('tasks/');
}
