// The dispatcher that messages of a link are sent with, and how each of them was taken.

import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Posted } from '../seen.ts';

const MAX_POSTS = 8;
const BODY_CHARS = 256;

interface Taking {
  status: number;
  type: string;
  body: string;
}

/** What becomes of the first few is written down. */
export class WatchedPosts {
  readonly seen: Posted[] = [];

  intercept: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) =>
    dispatch(options, this.#watched(handler));

  #watched(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
    const taking: Taking = { status: 0, type: '', body: '' };
    return {
      onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
      onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
      onResponseStart: (controller, status, headers: IncomingHttpHeaders, message) => {
        if (status >= 200 && this.seen.length < MAX_POSTS) {
          taking.status = status;
          taking.type = headers['content-type'] ?? '';
          this.seen.push(taking);
        }
        handler.onResponseStart?.(controller, status, headers, message);
      },
      onResponseData: (controller, chunk) => {
        if (taking.body.length < BODY_CHARS) {
          taking.body += chunk.toString('latin1', 0, BODY_CHARS - taking.body.length);
        }
        handler.onResponseData?.(controller, chunk);
      },
      onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
      onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
    };
  }
}
