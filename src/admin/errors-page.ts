// Every error, as a page that the status links to: the text for this version, where there is no way to any other.

import { ERRORS, type ErrorRow } from '../domain/errors.ts';
import { html } from './html.ts';
import { page } from './page.ts';

const SIDES: Readonly<Record<ErrorRow['side'], string>> = {
  downstream: 'of the client',
  gateway: 'of the gateway, or a limit of it',
  upstream: 'of the server behind',
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
        ${rows.map(
          ([reason, { side, before, after, rpc, remedy }]) =>
            html`<li id="${reason}">
              <p class="line">
                <code><b>${reason}</b></code>
                <span class="soft">${SIDES[side]}</span>
                <span class="soft"
                  >${before}${after === undefined ? null : `, ${after} once it was sent on`} · ${rpc}</span
                >
              </p>
              <p>${remedy}</p>
            </li>`,
        )}
      </ul>`,
    foot: null,
  });
}
