// What clients and servers can rely on, one row each. A test names the rows that it shows in square brackets at the end
// of its title; docs/compatibility.md is printed from the rows and from the tests that passed.

export interface Row {
  readonly says: string;
  /** Why no test shows it. */
  readonly notYet?: string;
}

export interface Section {
  readonly title: string;
  readonly rows: Readonly<Record<string, Row>>;
}

export const CHECKLIST: readonly Section[] = [
  {
    title: 'Every client',
    rows: {
      A1: {
        says: 'a page of an origin that is not allowed gets 403 on every method; requests without Origin are served',
      },
      A2: { says: 'it listens on loopback unless told otherwise' },
      A3: { says: 'missing, bad and foreign tokens are refused' },
      A4: { says: 'a client’s Authorization header never reaches the server' },
      A5: { says: 'an answer has the id of its request, value and type' },
      A6: { says: 'a request with an id that is null, fractional or an object is refused and not passed on' },
      A7: { says: 'what is not JSON is −32700 without an id, what is not JSON-RPC is −32600; both 400' },
      A8: { says: 'too large a body is 413, too large headers are 431, too slow a body times out' },
      A9: { says: 'event streams say what they are, are not buffered, and show life by comments' },
      A10: { says: 'characters of every length survive both ways' },
      A11: { says: 'a server that is down makes an opening request 5xx, never 4xx' },
      A12: { says: 'a GET without a session is never an event stream' },
      A13: { says: 'every configured path serves every kind of client' },
      A14: { says: 'clients that use equal ids at the same time get their own answers only' },
      A15: { says: 'other paths are 404' },
    },
  },
  {
    title: 'Sessions of 2025-03-26 and later',
    rows: {
      B1: { says: 'initialize echoes a revision that is served' },
      B2: { says: 'any other revision is answered with one that is served' },
      B3: { says: 'the session id is unguessable and made of visible ASCII' },
      B4: { says: 'a notification or a response is 202 without a body' },
      B5: { says: 'every request of a batch is answered once, its notifications are not' },
      B6: { says: 'a batch of nothing but notifications or responses is 202' },
      B7: { says: 'initialize inside a batch is refused' },
      B8: { says: 'empty and mixed batches, and ids given twice, are 400' },
      B9: { says: 'without a version header and a session a request counts as 2025-03-26' },
      B10: { says: 'each message goes on one stream only' },
      B11: { says: 'the GET stream carries no answers but when it resumes a request’s stream' },
      B12: { says: 'Last-Event-ID replays the later events of that stream, in order, and no others' },
      B13: { says: 'event ids are unique in a session' },
      B14: { says: 'a client that loses its stream does not lose its call: the answer can be fetched' },
      B15: { says: 'after DELETE, and for unknown ids, every request is 404' },
      B16: { says: 'where sessions are required, a request without one is 400' },
      B17: { says: 'ping is answered at once' },
      B18: { says: 'a cancel reaches the server under the server’s id, and no answer follows' },
      B19: { says: 'progress carries the client’s token, and none follows the answer' },
      B20: { says: 'an unknown method is −32601 in a 200, never a 404' },
      B21: { says: 'a session is its principal’s only' },
      B22: { says: 'a request of the server reaches the client, and the client’s answer the server' },
      B23: { says: 'a client is asked only what it declared and its revision knows' },
    },
  },
  {
    title: 'From 2025-06-18 on',
    rows: {
      C1: { says: 'a batch is refused' },
      C2: { says: 'a version header that is not served is 400, before and after initialize' },
      C3: { says: 'without the header a session goes on with its own revision' },
      C4: { says: 'another served revision in the header of a session is tolerated' },
      C5: { says: 'elicitation by form only if it was declared' },
      C6: { says: 'structured content, resource links, titles and _meta cross unchanged' },
      C7: { says: 'sessions of this revision do what those of 2025-03-26 do' },
    },
  },
  {
    title: 'From 2025-11-25 on',
    rows: {
      D1: { says: 'a stream begins with an event that lets the client come back; older clients never get one' },
      D2: { says: 'a stream that is ended early says when to come back, and goes on there, the answer once' },
      D3: { says: 'the stream of a POST is resumed by a GET' },
      D4: { says: 'elicitation by URL only if declared; its completion is told to that client only' },
      D5: { says: 'error −32042 crosses with its data' },
      D6: { says: 'tasks are neither offered nor passed on' },
      D7: { says: 'task messages carry their task', notYet: 'tasks are not bridged' },
      D8: { says: 'sampling with tools only if declared' },
      D9: { says: 'icons, descriptions and links of the server’s own description cross' },
    },
  },
  {
    title: 'Without a session',
    rows: {
      E1: { says: 'where sessions are off, initialize is answered without a session id, and requests need none' },
      E2: { says: 'a request without initialize is served, or 400 where sessions are required' },
      E3: { says: 'GET and DELETE are 405' },
      E4: { says: 'what the server asks during such a request is refused, and the client gets an ordinary answer' },
      E5: { says: 'notifications are 202, and cancel nothing' },
    },
  },
  {
    title: 'Toward the server',
    rows: {
      G1: { says: 'messages go exactly where the endpoint event says, and none before it' },
      G2: { says: 'an endpoint on another origin is refused' },
      G3: { says: 'initialize, then initialized, then everything else' },
      G4: { says: 'a server that insists on an unknown revision is left' },
      G5: { says: 'ids are never repeated on a connection, and never null' },
      G6: { says: 'nothing of revision 2026-07-28 reaches the server' },
      G7: { says: 'the server is sent no arrays; arrays that it sends are read' },
      G8: { says: 'answers are read from the stream; one in the body of a POST counts if it comes first' },
      G9: { says: 'a ping of the server is answered at once, with its id' },
      G10: { says: 'every request of the server is answered exactly once' },
      G11: { says: 'only what is declared to the server can be asked by it' },
      G12: { says: 'only requests that are under way are cancelled, never initialize' },
      G13: { says: 'progress tokens are unique among the requests under way' },
      G14: { says: 'from 2025-06-18 on, messages carry the version header' },
      G15: { says: 'every framing of the event stream is read' },
      G16: {
        says: 'after a loss: what was open fails once, the link is opened and told everything again, no tool runs twice',
      },
      G17: { says: 'where a question could reach a client, its call is the only one that could have asked' },
      G18: { says: 'a call that times out is cancelled; progress extends it, but not for ever' },
      G19: {
        says: 'the log level is the most verbose that anybody on the link wants, and is set only where logging is offered',
      },
      G20: { says: 'resources are subscribed to only where that is offered' },
      G21: { says: 'the end of a session closes its link' },
      G22: { says: 'redirects are not followed, and messages without end are cut' },
      G23: { says: 'the server gets its own ids back, in their type' },
      G24: { says: 'errors tell clients no address and no text of the server’s failures' },
    },
  },
];
