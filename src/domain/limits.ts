// The keys of the configuration that can end or refuse something. Who meets one is told its key: in the text of the
// error, in the log, and in a count.

/** links.max, links.maxTotal and links.maxInFlight are met as a wait: they are told of as links.queueTimeout. */
export const LIMITS = [
  'timeouts.connect',
  'timeouts.headers',
  'timeouts.endpoint',
  'timeouts.initialize',
  'timeouts.post',
  'timeouts.request',
  'timeouts.requestMax',
  'timeouts.round',
  'timeouts.sessionIdle',
  'timeouts.sessionMax',
  'timeouts.clientHeaders',
  'timeouts.clientBody',
  'timeouts.clientWrite',
  'limits.bodyBytes',
  'limits.upstreamMessageBytes',
  'limits.jsonDepth',
  'limits.sessions',
  'limits.inFlight',
  'limits.receivedBytes',
  'limits.listens',
  'limits.listenUris',
  'limits.passthroughStreams',
  'limits.batch',
  'limits.bufferedBytes',
  'limits.streamBacklogBytes',
  'links.maxDedicated',
  'links.maxQueue',
  'links.queueTimeout',
  'streams.maxEvents',
  'streams.maxBytes',
  'streams.maxAge',
] as const;

export type Limit = (typeof LIMITS)[number];
