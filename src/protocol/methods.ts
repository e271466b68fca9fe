// One row per MCP method that a client of the 2025 revisions may send. Rules with many cells are data, read once.

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
}

export const METHODS: Readonly<Record<string, MethodRow>> = {
  initialize: { kind: 'request' },
  ping: { kind: 'request', withoutSession: 'us' },
  'tools/list': { kind: 'request', safeToRetry: true },
  'tools/call': { kind: 'request', nameFrom: 'name', mayAskBack: true },
  'prompts/list': { kind: 'request', safeToRetry: true },
  'prompts/get': { kind: 'request', nameFrom: 'name', mayAskBack: true, safeToRetry: true },
  'resources/list': { kind: 'request', safeToRetry: true },
  'resources/templates/list': { kind: 'request', safeToRetry: true },
  'resources/read': { kind: 'request', nameFrom: 'uri', mayAskBack: true, safeToRetry: true },
  'resources/subscribe': { kind: 'request', nameFrom: 'uri', withoutSession: 'nobody' },
  'resources/unsubscribe': { kind: 'request', nameFrom: 'uri', withoutSession: 'nobody' },
  'completion/complete': { kind: 'request', safeToRetry: true },
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
