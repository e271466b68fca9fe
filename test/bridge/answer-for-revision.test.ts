import { describe, expect, test } from 'vitest';
import { forRevision } from '../../src/bridge/answer-for-revision.ts';
import { SERVED_REVISIONS, type ServedRevision } from '../../src/protocol/eras.ts';
import { rewrite } from '../../src/protocol/rewrites.ts';
import { readAs, textOfChunks } from '../protocol/read.ts';

const LINK = '{"type":"resource_link","uri":"file:///a","name":"a"}';
const RESULT = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"1.0"},${LINK}],"x":1.0}}`;
const PROMPT = `{"jsonrpc":"2.0","id":1,"result":{"messages":[{"role":"user","content":${LINK}}]}}`;
const URL_NEEDED =
  '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"x","data":{"elicitations":[{"mode":"url"}],"n":1.0}}}';
const FAILED = '{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"not found","data":{"uri":"a"}}}';

/** What a client of this revision gets, its id aside. */
function told(text: string, method: string, revision: ServedRevision): string {
  const answer = text.includes('"error"') ? readAs('error', text) : readAs('result', text);
  const { changes = {}, edits = [] } = forRevision(answer, method, revision) ?? {};
  return textOfChunks(rewrite(answer, changes, edits));
}

describe('a resource link', () => {
  test.each<[method: string, text: string]>([
    ['tools/call', RESULT],
    ['prompts/get', PROMPT],
  ])('in the result of %s reaches every client that knows it byte for byte [C6]', (method, text) => {
    expect(told(text, method, '2025-06-18')).toBe(text);
    expect(told(text, method, '2025-11-25')).toBe(text);
  });

  test.each<[method: string, text: string]>([
    ['tools/call', RESULT],
    ['prompts/get', PROMPT],
  ])('in the result of %s is text for a client of 2025-03-26, and nothing else changes', (method, text) => {
    expect(told(text, method, '2025-03-26')).toBe(
      text.replace(LINK, '{"type":"text","text":"Resource: a <file:///a>"}'),
    );
  });

  test.each(['tools/list', 'resources/read', 'completion/complete', 'x/invented', ''])(
    'in the result of %j is left alone: it is no content there',
    (method) => {
      for (const revision of SERVED_REVISIONS) expect(told(RESULT, method, revision)).toBe(RESULT);
    },
  );
});

describe('the error −32042, by which a tool asks for an elicitation by URL,', () => {
  test('passes to a client of 2025-11-25 byte for byte [D5]', () => {
    expect(told(URL_NEEDED, 'tools/call', '2025-11-25')).toBe(URL_NEEDED);
  });

  test.each(['2025-03-26', '2025-06-18'] as const)(
    'is an internal error to one of %s, with all its data',
    (revision) => {
      expect(told(URL_NEEDED, 'tools/call', revision)).toBe(URL_NEEDED.replace('-32042', '-32603'));
    },
  );
});

test('every other error passes as it is, whatever the revision', () => {
  for (const revision of SERVED_REVISIONS) expect(told(FAILED, 'resources/read', revision)).toBe(FAILED);
});

test('where nothing has to change nothing is changed, nor looked for', () => {
  const answer = readAs('result', '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}]}}');

  for (const revision of SERVED_REVISIONS) expect(forRevision(answer, 'tools/call', revision)).toBeUndefined();
});
