// The frame of every page: no script, nothing from elsewhere, and a policy that lets a browser take nothing else.

import { createHash } from 'node:crypto';
import { type Content, type Html, html, styleSheet } from './html.ts';
import { STYLE } from './page-style.ts';

/** What an attacker could have put into a page would not run, load, send or be shown in a frame. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  // The icon, which is in the page.
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': POLICY,
  // By Accept the same path says the same as JSON.
  vary: 'Accept',
};

/** Who names it, as browsers do, before JSON: to all others, those who take anything included, the same is said as JSON. */
export function wantsPage(accept: string | undefined): boolean {
  const ranges = (accept ?? '').toLowerCase().split(',');
  const weightOf = (type: string): number => {
    const [, ...parameters] = ranges.find((range) => range.split(';', 1)[0]?.trim() === type)?.split(';') ?? [
      '',
      'q=0',
    ];
    const weight = parameters.map((each) => /^\s*q=([\d.]+)\s*$/.exec(each)?.[1]).find((each) => each !== undefined);
    return Number(weight ?? 1);
  };
  return weightOf('text/html') > weightOf('application/json');
}

/** How things stand, as a colour. */
export type Tone = 'good' | 'warn' | 'bad';
const ICON_COLOURS: Readonly<Record<Tone, string>> = { good: '#1a8a4f', warn: '#b7791f', bad: '#c5362d' };

export interface PageOptions {
  readonly title: string;
  readonly tone: Tone;
  /** Beside the name of the program. */
  readonly head: Content;
  readonly main: Content;
  readonly foot: Content;
  /** Seconds after which it is fetched again; null: never, as it should be for whoever has it read out. */
  readonly refreshSeconds: number | null;
}

/** A deck on two arches. */
const CAUSEWAY = 'M1 7h22M2 18a5 7 0 0 1 10 0a5 7 0 0 1 10 0';

export function page({ title, tone, head, main, foot, refreshSeconds }: PageOptions): string {
  const refresh = refreshSeconds === null ? null : html`<meta http-equiv="refresh" content="${refreshSeconds}" />`;
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        ${refresh}
        <title>${title} · Causeway</title>
        <link rel="icon" href="${iconOf(tone)}" />
        ${STYLES}
      </head>
      <body>
        <header>${MARK}${head}</header>
        <main>${main}</main>
        <footer>${foot}</footer>
      </body>
    </html>`;
  return document.toString();
}

const STYLES = styleSheet(STYLE);
const MARK: Html = html`<svg viewBox="0 0 24 24" class="mark" aria-hidden="true"><path d="${CAUSEWAY}" /></svg>`;

function iconOf(tone: Tone): string {
  const image = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="${CAUSEWAY}" fill="none" stroke="${ICON_COLOURS[tone]}" stroke-width="2.5" stroke-linecap="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(image)}`;
}
