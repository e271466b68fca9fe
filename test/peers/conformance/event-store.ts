// The events of one Streamable HTTP session, kept for clients that come back for what they missed. Ids count from 0 across
// all streams of the session, so an id alone says which stream it was on.
import type { EventStore } from './sdk-server.ts';

export function memoryEventStore(): EventStore {
  const events: { readonly streamId: string; readonly message: unknown }[] = [];

  return {
    async storeEvent(streamId, message) {
      return String(events.push({ streamId, message }) - 1);
    },
    async getStreamIdForEventId(eventId) {
      return events[Number(eventId)]?.streamId;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = events[Number(lastEventId)];
      if (last === undefined) throw new Error(`there is no event ${lastEventId}`);
      for (const [index, { streamId, message }] of events.entries()) {
        if (index > Number(lastEventId) && streamId === last.streamId) await send(String(index), message);
      }
      return last.streamId;
    },
  };
}
