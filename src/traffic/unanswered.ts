// Which requests of a stream that another replica had were still to be answered on it: in a batch some may have been.

import type { StreamedEvent } from '../domain/ports.ts';
import { bytesOf, readMessage } from '../protocol/json-rpc.ts';
import type { RunningStream } from '../protocol/session-record.ts';

export function unanswered(running: readonly RunningStream[], events: readonly StreamedEvent[]): RunningStream[] {
  return running.map(({ stream, answers }) => {
    if (answers.length < 2) return { stream, answers };
    const answered = new Set(
      events.filter((each) => each.stream === stream).map(({ event }) => answeredBy(event.message)),
    );
    return { stream, answers: answers.filter((id) => !answered.has(id)) };
  });
}

function answeredBy(message: Uint8Array): string | null {
  const read = readMessage(message, { maxDepth: Number.POSITIVE_INFINITY });
  if ((read.kind !== 'result' && read.kind !== 'error') || read.id === null) return null;
  return new TextDecoder().decode(bytesOf(message, read.id));
}
