// `subscriptions/listen` of 2026-07-28: what a client asks to be told, what of it an upstream can tell, and how each
// message says to which listen it belongs.

import { MODERN_META } from './eras.ts';
import { type Notification, type Request, encode, membersOf, ownMessage, parsed } from './json-rpc.ts';
import { removals } from './removal.ts';
import { type Edit, splice } from './splice.ts';
import { LIST_KINDS, type ListKind, type ServerOffers } from './upstream-handshake.ts';

export interface SubscriptionFilter {
  readonly lists: readonly ListKind[];
  readonly uris: readonly string[];
}

const LIST_MEMBERS: Readonly<Record<ListKind, string>> = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
};

const LIST_NOTIFICATIONS: ReadonlyMap<string, ListKind> = new Map(
  LIST_KINDS.map((kind) => [`notifications/${kind}/list_changed`, kind]),
);

/** Of which list a notification says that it has changed; null for another one. */
export function changedList(method: string): ListKind | null {
  return LIST_NOTIFICATIONS.get(method) ?? null;
}

/** What a listen asks for, or what is wrong with it. Members that are not known mean nothing here. */
export function readFilter(request: Request): SubscriptionFilter | { readonly fault: string } {
  const { bytes, params } = request;
  const member = params === null ? undefined : membersOf(request, params, NOTIFICATIONS)?.members.get('notifications');
  // [spec 2026-07-28 schema] "notifications: SubscriptionFilter" is required.
  if (member?.kind !== 'object') return { fault: 'params.notifications must be an object' };
  const filter = parsed(bytes, member) as Readonly<Record<string, unknown>>;
  for (const name of Object.values(LIST_MEMBERS)) {
    const value = filter[name];
    if (value !== undefined && typeof value !== 'boolean') return { fault: `notifications.${name} must be a boolean` };
  }
  const uris: unknown = filter['resourceSubscriptions'] ?? [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) {
    return { fault: 'notifications.resourceSubscriptions must be an array of strings' };
  }
  return { lists: LIST_KINDS.filter((kind) => filter[LIST_MEMBERS[kind]] === true), uris: [...new Set<string>(uris)] };
}

/** What of it the upstream can tell at all. */
export function honoured({ lists, uris }: SubscriptionFilter, offers: ServerOffers): SubscriptionFilter {
  return { lists: lists.filter((kind) => offers.listChanges.includes(kind)), uris: offers.subscribe ? uris : [] };
}

/**
 * The first message of a listen.
 * [spec 2026-07-28 subscriptions] "notifications/subscriptions/acknowledged"; kinds that are not supported are left out.
 */
export function acknowledged(id: Uint8Array, { lists, uris }: SubscriptionFilter): Uint8Array[] {
  const notifications = {
    ...Object.fromEntries(lists.map((kind) => [LIST_MEMBERS[kind], true])),
    ...(uris.length > 0 && { resourceSubscriptions: uris }),
  };
  return ownTagged('notifications/subscriptions/acknowledged', { notifications }, id);
}

export function listChanged(kind: ListKind, id: Uint8Array): Uint8Array[] {
  return ownTagged(`notifications/${kind}/list_changed`, {}, id);
}

export function resourceUpdated(uri: string, id: Uint8Array): Uint8Array[] {
  return ownTagged('notifications/resources/updated', { uri }, id);
}

/** The result with which we end a listen. */
export function listenResult(id: Uint8Array): Uint8Array {
  return concat([encode('{"resultType":"complete","_meta":'), subscriptionMeta(id), encode('}')]);
}

/** An upstream's notification as one listen hears it: everything as it came, and whose it is. */
export function tagged(message: Notification, id: Uint8Array): Uint8Array[] {
  const { bytes, params, meta } = message;
  if (params === null) return ownTagged(message.method, {}, id);
  const inMeta = concat([encode(`"${MODERN_META.subscriptionId}":`), id]);
  const edits: Edit[] = [];
  if (meta === null) {
    const cuts = removals(bytes, params, '_meta');
    edits.push(inserted(params, cuts, concat([encode('"_meta":{'), inMeta, encode('}')]), bytes));
    edits.push(...cuts.map((cut) => ({ ...cut, text: NOTHING })));
  } else {
    const cuts = removals(bytes, meta, MODERN_META.subscriptionId);
    edits.push(inserted(meta, cuts, inMeta, bytes), ...cuts.map((cut) => ({ ...cut, text: NOTHING })));
  }
  return splice(bytes, edits);
}

/** At the start of an object from which something may have been cut. */
function inserted(
  object: { readonly start: number; readonly end: number },
  cuts: readonly { readonly start: number; readonly end: number }[],
  member: Uint8Array,
  bytes: Uint8Array,
): Edit {
  let left = false;
  let at = object.start + 1;
  for (const { start, end } of [...cuts, { start: object.end - 1, end: object.end }]) {
    for (; at < start; at++) left ||= (bytes[at] ?? 0x20) > 0x20;
    at = end;
  }
  const start = object.start + 1;
  return { start, end: start, text: left ? concat([member, encode(',')]) : member };
}

function ownTagged(method: string, params: object, id: Uint8Array): Uint8Array[] {
  const whole = ownMessage({ method, params: { ...params, _meta: {} } });
  // `_meta` is the last member: `{}}}` ends the message.
  return [whole.subarray(0, whole.length - 4), subscriptionMeta(id), encode('}}')];
}

function subscriptionMeta(id: Uint8Array): Uint8Array {
  return concat([encode(`{"${MODERN_META.subscriptionId}":`), id, encode('}')]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

const NOTIFICATIONS = new Set(['notifications']);
const NOTHING = new Uint8Array(0);
