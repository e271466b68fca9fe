// What was seen of a server that whoever runs it should know, in words: one row each.

import { endpointForm } from './endpoint-form.ts';
import { LISTS, type Seen } from './seen.ts';

interface Row {
  readonly when: (seen: Seen) => boolean;
  readonly says: string;
}

const dropped =
  (...what: readonly string[]) =>
  ({ stream }: Seen): boolean =>
    stream.dropped.some((each) => what.includes(each));

const QUIRKS: readonly Row[] = [
  {
    when: ({ second }) => second === 'broadcasts',
    says: 'it sends answers to streams that did not ask: everything has to go over one connection (links.single)',
  },
  {
    when: ({ second }) => second === 'takes_over',
    says: 'a second stream gets the answers of the first: it survives one connection only (links.single)',
  },
  {
    when: ({ second }) => second === 'ends_first',
    says: 'a second stream ends the first: it survives one connection only (links.single)',
  },
  { when: ({ second }) => second === 'refused', says: 'it refuses a second stream (links.single)' },
  {
    when: ({ goneAfter }) => goneAfter,
    says: 'it was gone when the probe had left: a client that leaves may end it (links.single, and something that restarts it)',
  },
  {
    when: ({ stream }) => stream.isLost,
    says: 'its event stream ended by itself soon after it was opened: the server, or a proxy between, bounds how long it lasts',
  },
  {
    when: ({ stream }) => stream.introduction?.revision === '2024-11-05',
    says: 'it speaks revision 2024-11-05 only: what came with later ones is not to be had from it',
  },
  {
    when: ({ messageUrl, stream, url }) =>
      messageUrl !== null && endpointForm(stream.announced ?? '', url).form === 'other-origin',
    says: 'it announces a POST URL on another origin, an inner name perhaps; at its own origin that path works (messageUrl)',
  },
  {
    when: ({ stream }) => stream.posts.some(({ body }) => body.includes('"jsonrpc"')),
    says: 'it answers in the body of the POST',
  },
  {
    when: ({ stream, url }) => stream.announced !== null && endpointForm(stream.announced, url).session === 'none',
    says: 'its endpoint names no session: it may not tell its clients apart (--second-connection finds out)',
  },
  { when: dropped('unknown_event'), says: 'it sends events that the transport does not have; they are dropped' },
  {
    when: dropped('unreadable_message'),
    says: 'it sends messages that are no JSON-RPC; they are dropped, and the log of the gateway says why',
  },
  { when: dropped('second_endpoint'), says: 'it names its endpoint more than once; the first one counts' },
  {
    when: ({ stream }) => LISTS.some((list) => stream.counts?.[list]?.stopped === 'repeats'),
    says: 'a list of it comes back to a cursor that was there before: whoever reads it all never ends',
  },
  {
    when: ({ stream }) => LISTS.some((list) => stream.counts?.[list]?.stopped === 'pages'),
    says: 'a list of it has more pages than are counted here',
  },
  {
    when: ({ stream }) => LISTS.some((list) => stream.counts?.[list]?.stopped === 'refused'),
    says: 'it refuses to list something that it says it has',
  },
];

export function quirksOf(seen: Seen): readonly string[] {
  return QUIRKS.filter(({ when }) => when(seen)).map(({ says }) => says);
}

/** Whether everything has to go over one connection, as far as that is known. */
export function isSingle({ second, goneAfter }: Seen): boolean {
  return goneAfter || (second !== null && second !== 'independent' && second !== 'unknown');
}
