// The tools of an upstream as tools of 2026-07-28. Clients check a list against the types that they know, so one tool of
// another shape can cost the whole list: such a tool is left out, and what can be put right is.

import { type Result, encode, textOf } from './json-rpc.ts';
import { type Member, Scanner } from './json-scanner.ts';
import { type NamedPlace, type Place, cuts, placesIn } from './removal.ts';
import { type Edit, asOne, inFront } from './splice.ts';

/**
 * Edits for splice() that make the result of tools/list hold modern tools, in the order of the upstream; they touch
 * nothing outside the array `tools`. Whose list is given twice has both changed.
 */
export function modernTools({ bytes, result }: Result): Edit[] {
  if (result.kind !== 'object') return [];
  return placesIn(bytes, result, 'tools').found.flatMap(({ value }) =>
    value.kind === 'array' ? asOne(bytes, arrayEdits(bytes, value)) : [],
  );
}

function arrayEdits(bytes: Uint8Array, tools: Member): Edit[] {
  const edits: Edit[] = [];
  let someStay = false;
  /** Of tools side by side that are left out. */
  let cut: { start: number; end: number; text: Uint8Array } | null = null;
  for (const { value, start, end, comma, next } of elements(bytes, tools)) {
    const inside = toolEdits(bytes, value);
    if (inside !== null) {
      for (const edit of inside) edits.push(edit);
      someStay = true;
      cut = null;
      continue;
    }
    if (cut === null) edits.push((cut = { start: someStay ? comma : start, end, text: NOTHING }));
    cut.end = someStay ? end : next;
  }
  return edits;
}

const NOTHING = new Uint8Array(0);

function* elements(bytes: Uint8Array, array: Member): Iterable<Place> {
  const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
  let comma = array.start;
  scanner.at = array.start + 1;
  scanner.skipSpace();
  while (bytes[scanner.at] !== 0x5d) {
    const value = scanner.value(0);
    const { start, end } = value;
    scanner.skipSpace();
    const behind = scanner.at;
    const isLast = bytes[behind] !== 0x2c;
    if (!isLast) {
      scanner.at++;
      scanner.skipSpace();
    }
    yield { value, start, end, comma, next: isLast ? end : scanner.at };
    comma = behind;
  }
}

const TOOL_MEMBERS: ReadonlySet<string> = new Set(['execution', 'inputSchema']);

/** What is shorter has none, and an array may have millions of elements that are. */
const SHORTEST_TOOL = '{"inputSchema":{}}'.length;

/** More of ours in one object is no mistake but an attack. */
const MAX_FOUND = 100;

/** In order. Null: the tool is left out. */
function toolEdits(bytes: Uint8Array, tool: Member): Edit[] | null {
  if (tool.kind !== 'object' || tool.end - tool.start < SHORTEST_TOOL) return null;
  const { found } = placesIn(bytes, tool, TOOL_MEMBERS);
  if (found.length > MAX_FOUND) return null;
  const executions = found.filter(({ name }) => name === 'execution');
  if (executions.some(({ value }) => needsTask(bytes, value))) return null;
  // Of two the last one counts, as it does to JSON.parse, and the other one goes: no reader may find it.
  const schema = found.findLast(({ name }) => name === 'inputSchema');
  if (schema?.value.kind !== 'object') return null;
  const inSchema = schemaEdits(bytes, schema.value);
  if (inSchema === null) return null;
  return [...cuts(found.filter((place) => place !== schema)), ...inSchema].toSorted((a, b) => a.start - b.start);
}

/** [spec 2025-11-25 schema] ""required": Tool requires task-augmented execution". Tasks are not bridged. */
function needsTask(bytes: Uint8Array, execution: Member): boolean {
  if (execution.kind !== 'object') return false;
  return placesIn(bytes, execution, 'taskSupport').found.some(({ value }) => isText(bytes, value, 'required'));
}

/** [spec 2026-07-28 schema] "Tool arguments are always JSON objects, so type: "object" is required at the root." */
function schemaEdits(bytes: Uint8Array, schema: Member): Edit[] | null {
  const { found, count } = placesIn(bytes, schema, 'type');
  if (found.length > MAX_FOUND) return null;
  const [type, another]: readonly (NamedPlace | undefined)[] = found;
  if (type !== undefined && another === undefined) {
    const { start, end } = type.value;
    return isText(bytes, type.value, 'object') ? [] : [{ start, end, text: OBJECT }];
  }
  return [inFront(schema, [TYPE_OBJECT], count > found.length), ...cuts(found)];
}

const OBJECT = encode('"object"');
const TYPE_OBJECT = encode('"type":"object"');

function isText(bytes: Uint8Array, member: Member, text: string): boolean {
  return member.kind === 'string' && textOf(bytes, member) === text;
}
