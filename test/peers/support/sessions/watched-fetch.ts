// The fetch that a client's transport is given: the real one, which notes what was sent and which status came back.
import { z } from 'zod';
import { SERVED_BY } from '../../../support/nginx.ts';
import type { Heard } from '../heard.ts';

export interface HttpRequest {
  readonly httpMethod: string;
  /** The method of the message in a POST; none when it is an answer. */
  readonly message: string | undefined;
  readonly lastEventId: string | null;
  /** Once the head of the response is there. */
  readonly status: number | undefined;
  /** The replica, where nginx stands before several. */
  readonly servedBy: string | undefined;
}

const messageWithMethod = z.object({ method: z.string() });

/** `revision`: written into an `initialize`, for a client that cannot ask for another one than its newest. */
export function watchedFetch(requests: Heard<HttpRequest>, revision?: string): typeof fetch {
  return async (url, init = {}) => {
    const body = typeof init.body === 'string' ? init.body : undefined;
    const sent: { -readonly [K in keyof HttpRequest]: HttpRequest[K] } = {
      httpMethod: init.method ?? 'GET',
      message: body === undefined ? undefined : messageWithMethod.safeParse(JSON.parse(body)).data?.method,
      lastEventId: new Headers(init.headers).get('last-event-id'),
      status: undefined,
      servedBy: undefined,
    };
    requests.add(sent);
    const isChanged = sent.message === 'initialize' && body !== undefined && revision !== undefined;
    const response = await fetch(url, isChanged ? { ...init, body: asking(body, revision) } : init);
    sent.status = response.status;
    sent.servedBy = response.headers.get(SERVED_BY) ?? undefined;
    requests.changed();
    return response;
  };
}

function asking(initialize: string, revision: string): string {
  return initialize.replace(/"protocolVersion":"[^"]*"/, `"protocolVersion":"${revision}"`);
}
