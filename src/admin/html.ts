// HTML that is put together safely: what stands in a template is markup, and what is put into one is text, unless it came out
// of a template. There is no other way to make any.

import { printable } from '../config/printable.ts';

export type Content = Html | string | number | null | readonly Content[];

class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}
export type { Html };

export function html({ raw }: TemplateStringsArray, ...contents: readonly Content[]): Html {
  const text = raw.map((part, index) => part.replaceAll(/\n\s*/g, '\n') + written(contents[index] ?? null)).join('');
  return new Html(text);
}

/** A style sheet: text in which nothing is escaped, so it must be a constant of ours. */
export function styleSheet(css: string): Html {
  return new Html(`<style>${css}</style>`);
}

function written(content: Content): string {
  if (content === null) return '';
  if (content instanceof Html) return content.toString();
  if (typeof content === 'object') return content.map(written).join('');
  return printable(String(content)).replaceAll(/[&<>"']/g, (character) => ESCAPED[character] ?? '');
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Words of other people: cut, with a direction of their own, so that they turn nothing around them. */
export function theirs(text: string, most: number): Html {
  const characters = Array.from(text.slice(0, 2 * most + 1));
  const shown = characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : text;
  return html`<bdi>${shown}</bdi>`;
}
