import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Message, type Unreadable, parsed } from '../../src/protocol/json-rpc.ts';
import { MessageTexts, textOfDraft } from './message-texts.ts';
import { read } from './read.ts';

/** The text as a value inside a message that is otherwise right. */
function holding(value: string): string {
  return `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":${value}}}`;
}

function verdict(message: Message | Unreadable): string {
  return message.kind === 'unreadable' ? message.code : message.kind;
}

describe('what is not JSON is a parse error', () => {
  test.each<[what: string, text: string]>([
    ['nothing', ''],
    ['white space', ' \n'],
    ['an open object', '{'],
    ['an open key', '{"jsonrpc'],
    ['a key without value', '{"jsonrpc"}'],
    ['a colon without value', '{"jsonrpc":}'],
    ['a cut message', '{"jsonrpc":"2.0","id":1,"method":"x"'],
    ['a comma before the end', '{"jsonrpc":"2.0","id":1,"method":"x",}'],
    ['a comma at the start', '{,"jsonrpc":"2.0","id":1,"method":"x"}'],
    ['two commas', '{"jsonrpc":"2.0",,"id":1,"method":"x"}'],
    ['no comma', '{"jsonrpc":"2.0" "id":1,"method":"x"}'],
    ['an equals sign', '{"jsonrpc"="2.0"}'],
    ['a bare key', '{jsonrpc:"2.0","id":1,"method":"x"}'],
    ['single quotes', "{'jsonrpc':'2.0'}"],
    ['a number as key', '{1:2}'],
    ['a closing bracket of the other kind', '{"jsonrpc":"2.0","id":1,"method":"x"]'],
    ['a word behind', '{"jsonrpc":"2.0","id":1,"method":"x"}x'],
    ['a brace behind', '{"jsonrpc":"2.0","id":1,"method":"x"}}'],
    ['a second message', '{"jsonrpc":"2.0","id":1,"method":"x"}{"jsonrpc":"2.0","id":1,"method":"x"}'],
    ['a NUL behind', '{"jsonrpc":"2.0","id":1,"method":"x"}\u0000'],
    ['a comma behind', '{"jsonrpc":"2.0","id":1,"method":"x"},'],
    ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"x"}'],
    ['a byte order mark behind', '{"jsonrpc":"2.0","id":1,"method":"x"}\ufeff'],
    ['a comment', '{"jsonrpc":"2.0",/* */"id":1,"method":"x"}'],
    ['a line comment', '{"jsonrpc":"2.0","id":1,"method":"x"}// x'],
    ['a form feed as space', '{"jsonrpc":"2.0",\f"id":1,"method":"x"}'],
    ['a vertical tab as space', '{"jsonrpc":"2.0",\v"id":1,"method":"x"}'],
    ['a no-break space', '{"jsonrpc":"2.0",\u00a0"id":1,"method":"x"}'],
    ['a line separator as space', '{"jsonrpc":"2.0",\u2028"id":1,"method":"x"}'],
    ['a batch that is cut', '[{"jsonrpc":"2.0"}'],
    ['a batch with something behind', '[] 1'],
    ['a broken batch', '[1,]'],
    ['the form body of a browser', 'jsonrpc=2.0&id=1'],
  ])('%s', (_what, text) => {
    expect(read(text)).toMatchObject({ kind: 'unreadable', code: 'parse_error', id: null });
  });

  test.each<[what: string, value: string]>([
    ['a word', 'undefined'],
    ['NaN', 'NaN'],
    ['Infinity', 'Infinity'],
    ['a literal in capitals', 'True'],
    ['a cut literal', 'nul'],
    ['a literal with a tail', 'nulll'],
    ['a literal with a digit', 'true1'],
    ['a lone minus', '-'],
    ['a plus sign', '+1'],
    ['two minuses', '--1'],
    ['a leading zero', '01'],
    ['a leading zero after a minus', '-01'],
    ['two zeros', '00'],
    ['a point without digits', '1.'],
    ['a point without digits before an exponent', '1.e1'],
    ['a leading point', '.5'],
    ['two points', '1.2.3'],
    ['an exponent without digits', '1e'],
    ['an exponent with only a sign', '1e+'],
    ['two exponents', '1e1e1'],
    ['a fractional exponent', '1e1.5'],
    ['a hexadecimal number', '0x10'],
    ['a BigInt', '1n'],
    ['digits with separators', '1_000'],
    ['digits of another script', '١'],
    ['a tab in a string', '"\t"'],
    ['a line feed in a string', '"\n"'],
    ['a NUL in a string', '"\u0000"'],
    ['the last control character in a string', '"\u001f"'],
    ['a control character in a key', '{"\u0001":1}'],
    ['an unknown escape', '"\\x41"'],
    ['an escaped quote of the other kind', '"\\\'"'],
    ['a vertical tab escape', '"\\v"'],
    ['a zero escape', '"\\0"'],
    ['a capital U', '"\\U0041"'],
    ['a short unicode escape', '"\\u004"'],
    ['a unicode escape without digits', '"\\u"'],
    ['a unicode escape that is no hexadecimal', '"\\u00g0"'],
    ['a unicode escape in braces', '"\\u{41}"'],
    ['a backslash at the end', '"\\"'],
    ['an escaped line end', '"\\\n"'],
    ['an open string', '"abc'],
    ['an open array', '[1'],
    ['a comma at the end of an array', '[1,]'],
    ['a comma alone in an array', '[,]'],
    ['a colon in an array', '[1:2]'],
    ['an array closed as an object', '[1}'],
    ['a comma at the end of an object', '{"a":1,}'],
    ['an object closed as an array', '{"a":1]'],
    ['a key that is cut in an escape', '{"\\u00'],
  ])('%s in a value', (_what, value) => {
    expect(() => void JSON.parse(holding(value))).toThrow(SyntaxError);
    expect(verdict(read(holding(value)))).toBe('parse_error');
  });

  test('a message that is cut anywhere', () => {
    const text = '{"jsonrpc":"2.0","id":-1,"method":"\\u0078é","params":{"_meta":{"a":[1.5e3,true,null]},"name":""}}';
    const bytes = Buffer.from(text);

    expect(verdict(read(text))).toBe('request');
    for (let length = 0; length < bytes.length; length++) {
      expect(verdict(read(bytes.subarray(0, length))), `${length} bytes`).toBe('parse_error');
    }
  });
});

describe('what is JSON is accepted, however odd', () => {
  test.each([
    '1.0',
    '-0',
    '0e0',
    '1E+2',
    '1e-999',
    '1e999',
    '9007199254740993',
    `${'9'.repeat(1000)}.${'0'.repeat(1000)}`,
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000\\u001f\\"\\\\\\/\\b\\f\\n\\r\\t\\uABcd"',
    '"\u007f\u0080\u2028\u2029\ufeff"',
    '"😀"',
    '{"__proto__":{"__proto__":null},"constructor":1,"":0}',
    '{"":1,"":2}',
    ' [ ] ',
    '\r\n{\t}\n',
    '[[],{},[{}],"",null,true,false]',
  ])('%s', (value) => {
    expect(() => void JSON.parse(holding(value))).not.toThrow();
    expect(verdict(read(holding(value)))).toBe('request');
  });
});

describe('long strings are read as strictly as short ones, wherever they stand in memory', () => {
  const head = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":"';
  const tail = '"}}';

  /** The bytes as a view of a larger piece of memory, with `hostile` before and behind them. */
  function placed(bytes: Uint8Array, offset: number, behind: number, hostile: number): Uint8Array {
    const memory = new Uint8Array(offset + bytes.length + behind).fill(hostile);
    memory.set(bytes, offset);
    return memory.subarray(offset, offset + bytes.length);
  }

  test.each<[what: string, inserted: string, verdict: string]>([
    ['a control character', '\u0000', 'parse_error'],
    ['the last control character', '\u001f', 'parse_error'],
    ['a line feed', '\n', 'parse_error'],
    ['a quote', '"', 'parse_error'],
    ['an unknown escape', '\\x', 'parse_error'],
    ['a short unicode escape', '\\u12', 'parse_error'],
    ['a space', ' ', 'request'],
    ['an exclamation mark', '!', 'request'],
    ['a bracket', '[', 'request'],
    ['a closing bracket', ']', 'request'],
    ['the last ASCII character', '\u007f', 'request'],
    ['an escaped quote', '\\"', 'request'],
    ['an escaped backslash', '\\\\', 'request'],
    ['text of two bytes', '\u00a0', 'request'],
    ['text of three bytes', '\u2028', 'request'],
    ['text of four bytes', '😀', 'request'],
    ['a long escape', '\\ud83d\\ude00', 'request'],
  ])('%s, at every place', (_what, inserted, expected) => {
    const wrong: number[] = [];
    for (let at = 0; at < 600; at++) {
      const bytes = Buffer.from(`${head}${'x'.repeat(at)}${inserted}${'é'.repeat(600 - at)}${tail}`);
      const message = read(placed(bytes, at % 19, at % 5, 0x22));
      if (verdict(message) !== expected) wrong.push(at);
    }

    expect(wrong).toEqual([]);
  });

  test('one that has no end is not read on into what follows in memory', () => {
    for (let offset = 0; offset < 40; offset++) {
      const bytes = Buffer.from(head + 'x'.repeat(700 + offset));
      expect(verdict(read(placed(bytes, offset, 64, 0x22)))).toBe('parse_error');
    }
  });

  test('the whole value is found, to its last byte', () => {
    for (let length = 500; length < 700; length++) {
      const id = JSON.stringify('x'.repeat(length));
      const message = read(
        placed(Buffer.from(`{"jsonrpc":"2.0","result":1,"id":${id}}`), length % 23, length % 7, 0x5c),
      );
      expect(message.kind === 'result' && message.id?.end).toBe(33 + id.length);
    }
  });
});

describe('a message is at most 128 deep, counted from its root', () => {
  const arrays = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  const objects = (depth: number): string => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1);
  const places: [where: string, rootsAbove: number, text: (nested: string) => string][] = [
    ['an unknown member', 1, (nested) => `{"jsonrpc":"2.0","id":1,"method":"x","a":${nested}}`],
    ['arguments', 2, (nested) => `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${nested}}}`],
    ['_meta', 3, (nested) => `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":${nested}}}}`],
    ['a result', 1, (nested) => `{"jsonrpc":"2.0","id":1,"result":${nested}}`],
    ['the data of an error', 2, (nested) => `{"jsonrpc":"2.0","id":1,"error":{"data":${nested}}}`],
  ];

  test.each(
    places.flatMap(([where, above, text]) => [
      [where, 'arrays', text(arrays(128 - above)), text(arrays(129 - above))] as const,
      [where, 'objects', text(objects(128 - above)), text(objects(129 - above))] as const,
    ]),
  )('in %s, by %s', (_where, _kind, deep, tooDeep) => {
    expect(read(deep).kind).not.toBe('unreadable');
    expect(read(tooDeep)).toMatchObject({
      kind: 'unreadable',
      code: 'invalid_request',
      why: expect.stringContaining('128'),
    });
  });

  test('one that is far too deep is refused without trouble', () => {
    expect(verdict(read(holding('['.repeat(1_000_000))))).toBe('invalid_request');
    expect(verdict(read('['.repeat(1_000_000)))).toBe('invalid_request');
    expect(verdict(read(`{"jsonrpc":"2.0","id":${'{"id":'.repeat(200_000)}`))).toBe('invalid_request');
  });

  test('depth that is closed again does not add up', () => {
    expect(verdict(read(holding(`[${Array.from({ length: 500 }, () => '[[{}]]').join(',')}]`)))).toBe('request');
  });

  test('brackets inside strings do not count', () => {
    expect(verdict(read(holding(`"${'['.repeat(1000)}"`)))).toBe('request');
  });
});

describe('a text is valid to us exactly when it is valid to JSON.parse', () => {
  const message = fc.integer().map((seed) => textOfDraft(new MessageTexts(seed).draft()));
  const wrapped = fc.json({ maxDepth: 6 }).map(holding);
  const valid = fc.oneof(fc.json(), wrapped, message);
  /** Behind so many bytes of a string, at any place in memory. */
  const long = fc
    .tuple(valid, fc.integer({ min: 500, max: 600 }))
    .map(([text, length]) => `{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(length)}","a":${text}}`);
  const insertion = fc.oneof(
    fc.constantFrom(...Array.from('{}[]",:\\/ \n\t\u0000-+.eE019uax\ufeff'), '\\u', '\\ud800', '"id":1,', '"jsonrpc"'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const mutated = fc
    .tuple(
      fc.oneof(valid, long),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), insertion), { minLength: 1, maxLength: 3 }),
    )
    .map(([text, edits]) => {
      let changed = text;
      for (const [where, cut, inserted] of edits) {
        const at = where % (changed.length + 1);
        changed = changed.slice(0, at) + inserted + changed.slice(at + cut);
      }
      return changed;
    });

  function check(text: string): void {
    const bytes = Buffer.from(text);
    let isJson = true;
    let value: Record<string, unknown> = {};
    try {
      value = JSON.parse(bytes.toString());
    } catch {
      isJson = false;
    }
    const message = read(bytes);
    if (message.kind !== 'unreadable') {
      expect(isJson).toBe(true);
      // And what we found in it is what JSON.parse finds.
      expect(value['method']).toBe('method' in message ? message.method : undefined);
      const id = 'id' in message && message.id !== null ? parsed(bytes, message.id) : undefined;
      expect(value['id'] ?? undefined).toBe(id);
    } else if (message.code === 'parse_error') expect(isJson).toBe(false);
    // A member given twice, or depth, can be found before something that is no JSON at all.
    else if (!isJson) expect(message.why).toMatch(/is given twice|nested deeper/);
  }

  test('valid texts', () => {
    fc.assert(fc.property(valid, check), { numRuns: 3000 });
  });

  test('texts that were tampered with', () => {
    fc.assert(fc.property(mutated, check), { numRuns: 10_000 });
  });

  test('any bytes that are UTF-8', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), check), { numRuns: 1000 });
  });
});
