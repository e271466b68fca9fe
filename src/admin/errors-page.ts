// Every error, as a page that the status links to: the text for this version, where there is no way to any other.

import { ERRORS, type ErrorRow } from '../domain/errors.ts';
import { type Html, html } from './html.ts';
import { page } from './page.ts';

const SIDES: Readonly<Record<ErrorRow['side'], string>> = {
  downstream: 'the client’s',
  gateway: 'the gateway’s, or a limit of it',
  upstream: 'the server’s',
};

export function errorsPage(): string {
  const rows = Object.entries<ErrorRow>(ERRORS);
  return page({
    title: 'Errors',
    tone: 'good',
    refreshSeconds: null,
    head: html`<h1>Causeway</h1>
      <p class="facts"><a href="status">Status</a></p>`,
    main: html`<h2>Errors <small>by the reason in error.data and in the log</small></h2>
      <ul class="errors card">
        ${rows.map(([reason, row]) => errorRow(reason, row))}
      </ul>`,
    foot: null,
  });
}

function errorRow(reason: string, { side, before, after, rpc, cause, remedy }: ErrorRow): Html {
  const later = after === undefined || after === before ? '' : `, ${after} once it was sent on`;
  return html`<li id="${reason}">
    <p class="line">
      <code><b>${reason}</b></code>
      <span class="soft">${SIDES[side]}</span>
      <span class="soft">HTTP ${before}${later} · JSON-RPC ${rpc}</span>
    </p>
    <p class="soft">${cause}</p>
    <p>${remedy}</p>
  </li>`;
}
