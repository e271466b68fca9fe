// Random messages as texts, with the places in them where a field stands that we change. A seed gives the same
// messages again.

/** A piece of a text; a marked piece is the value of a field. */
export interface Piece {
  readonly text: string;
  readonly field?: Field;
}

export type Field = 'id' | 'metaToken' | 'requestId' | 'progressToken' | 'protocolVersion';
export type Shape = 'request' | 'cancelled' | 'progress' | 'result' | 'error';

export interface Draft {
  readonly shape: Shape;
  readonly pieces: readonly Piece[];
  /** The member that is given twice though we read it; null in a message that is to be accepted. */
  readonly twice: string | null;
}

export function textOfDraft({ pieces }: Draft, changed: Partial<Record<Field, string>> = {}): string {
  return pieces.map(({ text, field }) => (field === undefined ? text : (changed[field] ?? text))).join('');
}

const SHAPES: readonly Shape[] = ['request', 'cancelled', 'progress', 'result', 'error'];
const DECOYS =
  'id jsonrpc method params result error progressToken requestId _meta name protocolVersion __proto__ constructor';
const KEYS = [...DECOYS.split(' '), 'a', 'b', '', 'é', 'arguments', 'x-1', 'ID', '😀', 'i d'];
const TEXTS = ['', 'x', '"id":1', '\\', '{"id":', 'é', '\u2028', '😀', '/', '}', '\n', '\u0000', '\ud800', '2.0'];
const NUMBERS = [
  '0',
  '-0',
  '1',
  '1.0',
  '-3',
  '1e0',
  '1E+2',
  '0.10',
  '9007199254740993',
  '1e999',
  '12345678901234567890',
];
const SPACES = ['', '', '', '', '', ' ', '\n', '\r\n', '\t ', '  '];

type Member = readonly Piece[];

export class MessageTexts {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  draft(): Draft {
    const shape = this.#pick(SHAPES);
    const wantsTwice = this.#chance(0.1);
    const twice: string[] = [];
    /** The members of one object, some of them known, and perhaps one of those twice. */
    const object = (known: Record<string, Member>, mayTwice: boolean, unknown: () => readonly Piece[]): Member => {
      const names = Object.keys(known);
      const members = names.map((name): Member => [...this.#key(name), ...(known[name] ?? [])]);
      for (let count = this.#below(3); count > 0; count--) members.push(unknown());
      if (wantsTwice && mayTwice && twice.length === 0 && names.length > 0 && this.#chance(0.5)) {
        const name = this.#pick(names);
        twice.push(name);
        members.push([...this.#key(name), ...this.#value(1)]);
      }
      return this.#joined('{', this.#shuffled(members), '}');
    };
    const stranger = (known: readonly string[]) => (): Member => {
      let key = this.#pick(KEYS);
      while (known.includes(key)) key = this.#pick(KEYS);
      return [...this.#key(key), ...this.#value(3)];
    };
    const inRoot = stranger(['id', 'jsonrpc', 'method', 'params', 'result', 'error']);
    const inParams = stranger(['name', '_meta', 'progressToken', 'requestId', 'protocolVersion']);
    const inMeta = stranger(['progressToken']);

    const root: Record<string, Member> = { jsonrpc: [{ text: '"2.0"' }] };
    const scalar = (): string => (this.#chance(0.5) ? this.#pick(NUMBERS) : this.#string());
    switch (shape) {
      case 'request': {
        root['id'] = [{ text: this.#id(), field: 'id' }];
        root['method'] = [{ text: '"tools/call"' }];
        if (this.#chance(0.2)) break;
        const params: Record<string, Member> = { name: [{ text: this.#string() }] };
        if (this.#chance(0.7)) {
          const token: Record<string, Member> = this.#chance(0.7)
            ? { progressToken: [{ text: scalar(), field: 'metaToken' }] }
            : {};
          params['_meta'] = object(token, true, inMeta);
        }
        root['params'] = object(params, true, inParams);
        break;
      }
      case 'cancelled':
        root['method'] = [{ text: '"notifications/cancelled"' }];
        root['params'] = object({ requestId: [{ text: this.#id(), field: 'requestId' }] }, true, inParams);
        break;
      case 'progress':
        root['method'] = [{ text: '"notifications/progress"' }];
        root['params'] = object({ progressToken: [{ text: scalar(), field: 'progressToken' }] }, true, inParams);
        break;
      case 'result': {
        root['id'] = [{ text: this.#id(), field: 'id' }];
        const version: Member = [{ text: '"2024-11-05"', field: 'protocolVersion' }];
        root['result'] = this.#chance(0.5)
          ? object({ protocolVersion: version }, false, stranger(['protocolVersion']))
          : object({}, false, stranger(['protocolVersion']));
        break;
      }
      case 'error':
        root['id'] = [{ text: this.#id(), field: 'id' }];
        root['error'] = object(
          { code: [{ text: this.#pick(NUMBERS) }], message: [{ text: this.#string() }], data: this.#value(2) },
          true,
          stranger(['code', 'message', 'data']),
        );
        break;
    }
    const whole = object(root, true, inRoot);
    return {
      shape,
      pieces: [{ text: this.#space() }, ...whole, { text: this.#space() }],
      twice: twice[0] ?? null,
    };
  }

  /** An integer in [0, limit). */
  #below(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  #chance(probability: number): boolean {
    return this.#below(1_000_000) < probability * 1_000_000;
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[this.#below(from.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    return items.map(() => left.splice(this.#below(left.length), 1)).flat();
  }

  #space(): string {
    return this.#pick(SPACES);
  }

  #id(): string {
    return this.#chance(0.5)
      ? this.#pick(['0', '-3', '1', '9007199254740993', '12345678901234567890'])
      : this.#string(this.#chance(0.01) ? 1000 : 3);
  }

  #string(parts = 3): string {
    let text = '';
    for (let count = this.#below(parts); count > 0; count--) text += this.#pick(TEXTS);
    return this.#quoted(text);
  }

  /** One of the many spellings of a text. */
  #quoted(text: string): string {
    let raw = '"';
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const char = text.charAt(i);
      // A lone surrogate can stand in UTF-8 as an escape only; the halves of a pair are spelled alike.
      const isHalf = code >= 0xd800 && code <= 0xdfff;
      const isPair = /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(i, i + 2));
      if (isPair && this.#chance(0.7)) {
        raw += text.slice(i, i + 2);
        i++;
      } else if (isHalf || code < 0x20 || this.#chance(0.1)) {
        const hex = code.toString(16).padStart(4, '0');
        raw += `\\u${this.#chance(0.5) ? hex : hex.toUpperCase()}`;
      } else if (char === '"' || char === '\\' || (char === '/' && this.#chance(0.5))) {
        raw += `\\${char}`;
      } else {
        raw += char;
      }
    }
    return `${raw}"`;
  }

  #key(name: string): Member {
    return [{ text: `${this.#quoted(name)}${this.#space()}:${this.#space()}` }];
  }

  #value(depth: number): Member {
    const kind = this.#below(depth > 0 ? 6 : 4);
    switch (kind) {
      case 0:
        return [{ text: this.#pick(NUMBERS) }];
      case 1:
      case 2:
        return [{ text: this.#string() }];
      case 3:
        return [{ text: this.#pick(['true', 'false', 'null']) }];
      case 4:
        return this.#joined(
          '[',
          Array.from({ length: this.#below(3) }, () => this.#value(depth - 1)),
          ']',
        );
      default:
        // Here members may be given twice.
        return this.#joined(
          '{',
          Array.from({ length: this.#below(4) }, () => [...this.#key(this.#pick(KEYS)), ...this.#value(depth - 1)]),
          '}',
        );
    }
  }

  #joined(open: string, members: readonly Member[], close: string): Member {
    const pieces: Piece[] = [{ text: open + this.#space() }];
    members.forEach((member, index) => {
      if (index > 0) pieces.push({ text: `${this.#space()},${this.#space()}` });
      pieces.push(...member);
    });
    pieces.push({ text: this.#space() + close });
    return pieces;
  }
}
