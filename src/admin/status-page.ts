// The status as a page. Every list has a bound, so its size has one, whatever there is.

import type { LinkCounts, LinkUse } from '../domain/gauges.ts';
import type { PeerGauge, PeerState } from '../domain/replicas.ts';
import { type Content, type Html, html, theirs } from './html.ts';
import { type Tone, page } from './page.ts';
import { ago, bytes, counted, grouped, instant, span } from './phrases.ts';
import type { Status, StatusError, UpstreamStatus } from './status.ts';

const MAX_UPSTREAMS = 16;
const MAX_CALLS = 15;
const MAX_ERRORS = 10;
const MAX_PEERS = 10;

const STANDING: Readonly<Record<Status['status'], readonly [Tone, string]>> = {
  ok: ['good', 'Serving'],
  draining: ['warn', 'Draining'],
  'upstream unavailable': ['bad', 'Upstream unavailable'],
};

/** `now`: in milliseconds since 1970. */
export function statusPage(status: Status, now: number, refreshSeconds: number | null): string {
  const [tone, says] = STANDING[status.status];
  const { version, uptimeSeconds, configuredAt } = status;
  const uptime = span(uptimeSeconds * 1000);
  return page({
    title: says,
    tone,
    refreshSeconds,
    head: html`<h1>Causeway</h1>
      <span class="tag ${tone}">${says}</span>
      <p class="facts">
        ${version} · up ${uptime} · configuration of <time datetime="${configuredAt}">${instant(configuredAt)}</time>
      </p>`,
    main: [
      draining(status),
      inAll(status),
      upstreamsOf(status),
      replicasOf(status),
      storeOf(status),
      callsOf(status),
      errorsOf(status, now),
    ],
    foot: [
      html`<span>As of ${instant(new Date(now).toISOString())}</span>`,
      refreshSeconds === null
        ? html`<a href="?refresh=5">Refresh every 5 s</a>`
        : html`<span>Refreshed every ${refreshSeconds} s</span> <a href="?">Stop</a>`,
      html`<a href="metrics">Metrics</a> <a href="errors">All errors</a>`,
    ],
  });
}

function draining({ drainingMs, replies }: Status): Content {
  if (drainingMs === null) return null;
  const awaited = replies === 0 ? 'nothing is awaited any more' : `${counted(replies, 'reply', 'replies')} to finish`;
  return html`<p class="note warn" role="status">Stopping for ${span(drainingMs)}: ${awaited}.</p>`;
}

function inAll({ replies, bufferedBytes, upstreams, limits }: Status): Html {
  const sum = (of: (upstream: UpstreamStatus) => number): number =>
    upstreams.reduce((total, each) => total + of(each), 0);
  const sessions = sum((each) => each.sessions);
  const held = sum(({ heldCalls }) => heldCalls);
  const waiting = sum(({ waitingCallers }) => waitingCallers);
  return html`<h2 class="hidden">In all</h2>
    <dl class="sum card">
      ${figure('Requests in flight', replies, { most: limits.inFlight })}
      ${figure('Sessions', sessions, { most: limits.sessions })} ${figure('Held for answers', held)}
      ${figure('Waiting for a link', waiting)}
      ${figure('Kept for streams', bufferedBytes, { text: bytes(bufferedBytes) })}
    </dl>`;
}

/** So full is something that somebody should know before it is. */
const NEARLY = 0.8;

interface FigureOptions {
  /** How many there may be. */
  readonly most?: number | undefined;
  readonly text?: string;
  readonly beside?: readonly string[];
  /** Left out of a narrow page where there is none of it. */
  readonly isMinor?: true;
}

function figure(label: string, value: number, options: FigureOptions = {}): Html {
  const { most, text = grouped(value), beside = [], isMinor = false } = options;
  const isNear = most !== undefined && most > 1 && value >= NEARLY * most;
  const small = [...(most === undefined ? [] : [`of ${grouped(most)}`]), ...beside].join(', ');
  return html`<div class="${value === 0 ? 'zero' : isNear ? 'near' : 'some'}${isMinor ? ' minor' : null}">
    <dt>${label}</dt>
    <dd>${text}${small === '' ? null : html`<span class="of">${small}</span>`}</dd>
  </div>`;
}

const MINOR = { isMinor: true } as const;

// Upstreams

function upstreamsOf({ upstreams }: Status): Html {
  // What needs somebody comes first.
  const urgency = ({ state, ready, openBreakers }: UpstreamStatus): number =>
    state === 'down' ? 0 : openBreakers > 0 ? 1 : ready ? 3 : 2;
  const inOrder = upstreams.toSorted((left, right) => urgency(left) - urgency(right));
  return html`<section aria-labelledby="upstreams">
    <h2 id="upstreams">Upstreams ${count(upstreams.length)}</h2>
    <div class="card">
      <ul class="upstreams">
        ${inOrder.slice(0, MAX_UPSTREAMS).map(upstream)}
      </ul>
      ${more(upstreams.length - MAX_UPSTREAMS, 'metrics')}
    </div>
  </section>`;
}

const STATES: Readonly<Record<UpstreamStatus['state'], readonly [Tone | '', string]>> = {
  up: ['good', 'up'],
  down: ['bad', 'down'],
  unknown: ['', 'not tried yet'],
};

function upstream(of: UpstreamStatus): Html {
  const { name, path, mode, state, server, revision, links, limits } = of;
  const [tone, says] = STATES[state];
  const served =
    path === null
      ? html`<span class="tag warn">served no more</span>`
      : html`<code>${path}</code> <span class="soft">${mode}</span>`;
  return html`<li>
    <div class="line">
      <h3>${name}</h3>
      <span class="tag ${tone}">${says}</span>
      ${of.single ? html`<span class="tag">one link</span>` : null}
      ${of.tlsUnverified === true ? html`<span class="tag warn">certificate not checked</span>` : null} ${served}
      <span class="soft"
        >${server === null ? null : theirs(server, 60)}${revision === null ? null : ` · ${revision}`}</span
      >
    </div>
    <dl class="figures">
      ${[
        linkFigure('Shared links', links.pooled, { most: limits?.pooled }),
        figure('Calls', of.calls),
        figure('Sessions', of.sessions),
        linkFigure('Sessions’ links', links.dedicated, { most: limits?.dedicated, ...MINOR }),
        figure('Streams', of.streams, MINOR),
        figure('Held', of.heldCalls, MINOR),
        figure('In line', of.waitingCallers, MINOR),
        figure('Listens', of.listens, MINOR),
        figure('Old clients', of.passthroughStreams, MINOR),
      ]}
    </dl>
    ${troubleOf(of)}
  </li>`;
}

function linkFigure(label: string, { opening, open, closing }: LinkCounts[LinkUse], options: FigureOptions): Html {
  const beside = [
    ...(opening > 0 ? [`${grouped(opening)} opening`] : []),
    ...(closing > 0 ? [`${grouped(closing)} closing`] : []),
  ];
  return figure(label, open, { ...options, beside });
}

function troubleOf({ state, openBreakers, nextTryMs, failedOpenings, lastError }: UpstreamStatus): Content {
  const last = lastError && html`Last trouble: ${errorLink(lastError.reason)}, ${ago(lastError.agoMs)}. `;
  const again = nextTryMs === 0 ? 'with the next call' : `in ${span(nextTryMs ?? 0)}`;
  const breaker =
    nextTryMs === null ? null : `Too many failures in a row at ${counted(openBreakers, 'URL')}: tried again ${again}. `;
  const attempts = failedOpenings === 1 ? 'attempt' : `${grouped(failedOpenings)} attempts`;
  const backOff = failedOpenings === 0 ? null : `The last ${attempts} to keep a link open failed; the next one waits.`;
  if (last === null && breaker === null && backOff === null) return null;
  const tone = state === 'down' ? 'bad' : breaker === null && backOff === null ? 'past' : 'warn';
  return html`<p class="trouble ${tone}">${last}${breaker}${backOff}</p>`;
}

// Calls

const PHASES: Readonly<Record<Status['oldestCalls'][number]['phase'], string>> = {
  leasing: 'waits for a link',
  run: 'runs',
  held: 'waits for its client’s answers',
  answered: 'answered; kept for its client',
  left: 'runs on; its client has left',
  done: 'done',
};

function callsOf({ oldestCalls, upstreams }: Status): Html {
  const inAllCalls = Math.max(
    oldestCalls.length,
    upstreams.reduce((total, { calls }) => total + calls, 0),
  );
  const rows = oldestCalls.slice(0, MAX_CALLS).map(
    ({ upstream: of, method, name, phase, ageMs, link, round }) =>
      html`<tr>
        <td>${span(ageMs)}</td>
        <td>
          <code>${theirs(method, 48)}</code> ${name === null ? null : html`<b>${theirs(name, 64)}</b>`}
          <span class="soft"
            >${PHASES[phase]}${round === null ? null : `, round ${round}`}${link === 'dedicated' ? ' · in a session' : null}</span
          >
        </td>
        <td>${of}</td>
      </tr>`,
  );
  const list =
    rows.length === 0
      ? html`<p class="none">No call is under way.</p>`
      : html`<table>
          <thead>
            <tr>
              <th scope="col">For</th>
              <th scope="col">Call</th>
              <th scope="col">Upstream</th>
            </tr>
          </thead>
          <tbody>
            ${rows}
          </tbody>
        </table>`;
  return html`<section aria-labelledby="calls">
    <h2 id="calls">
      Calls under way ${count(inAllCalls)} ${rows.length > 1 ? html`<small>the oldest first</small>` : null}
    </h2>
    <div class="card">${list}${more(inAllCalls - rows.length)}</div>
  </section>`;
}

// Errors

function errorsOf({ recentErrors }: Status, now: number): Html {
  const list =
    recentErrors.length === 0
      ? html`<p class="none">None since the start.</p>`
      : html`<ol class="errors">
          ${recentErrors.slice(0, MAX_ERRORS).map((error) => errorItem(error, now))}
        </ol>`;
  return html`<section aria-labelledby="errors">
    <h2 id="errors">
      Recent errors ${recentErrors.length > 0 ? html`<small>of each kind the last one</small>` : null}
    </h2>
    <div class="card">${list}${more(recentErrors.length - MAX_ERRORS)}</div>
  </section>`;
}

const PEERS: Readonly<Record<PeerState, readonly [Tone, string]>> = {
  up: ['good', 'up'],
  draining: ['warn', 'draining'],
  apart: ['bad', 'its clock is another'],
  refusing: ['bad', 'its secrets are others'],
  unreachable: ['bad', 'unreachable'],
};

function replicasOf({ replica }: Status): Content {
  if (replica === null) return null;
  const { peers } = replica;
  return html`<section aria-labelledby="replicas">
    <h2 id="replicas">Other replicas ${count(peers.length)}</h2>
    <div class="card">
      <ul class="upstreams">
        ${peers.slice(0, MAX_PEERS).map(peerItem)}
      </ul>
      ${more(peers.length - MAX_PEERS, 'metrics')}
    </div>
  </section>`;
}

function storeOf({ store }: Status): Content {
  if (store === null) return null;
  const [tone, says] = store.isUp ? ['good', 'in use'] : ['bad', 'cannot be used: see the log'];
  const behind = store.behind === 0 ? null : html`, of which ${count(store.behind)} would be lost or go on from before`;
  return html`<section aria-labelledby="store">
    <h2 id="store">Store</h2>
    <div class="card"><span class="tag ${tone}">${says}</span> ${count(store.sessions)} sessions${behind}</div>
  </section>`;
}

function peerItem({ peer, state, version, clockMs }: PeerGauge): Html {
  const [tone, says] = state === null ? ['', 'not asked yet'] : PEERS[state];
  const isApart = clockMs !== null && Math.abs(clockMs) >= 1000;
  const clock = isApart ? `, its clock ${clockMs > 0 ? 'ahead' : 'behind'} by ${span(Math.abs(clockMs))}` : null;
  return html`<li>${theirs(peer, 60)} <span class="tag ${tone}">${says}</span> ${version}${clock}</li>`;
}

const LISTENERS = { main: 'main listener', admin: 'admin listener', peers: 'listener for replicas' } as const;
const NOUNS = { request: 'request', link: 'link', gateway: 'time' } as const;

function errorItem(error: StatusError, now: number): Html {
  const { reason, upstream: of, listener, says, limit, upstreamStatus, remedy, lastAt } = error;
  const where = of ?? (listener === null ? 'gateway' : LISTENERS[listener]);
  const told = [
    ...(limit === null ? [] : [html` (<code>${limit}</code>)`]),
    ...(upstreamStatus === null ? [] : [html`; the server answered ${upstreamStatus}`]),
  ];
  return html`<li>
    <p class="line">
      ${errorLink(reason)} <span>${where}</span> <span class="soft">${counted(error.count, NOUNS[error.of])}</span>
      <time datetime="${lastAt}">${ago(now - Date.parse(lastAt))}</time>
    </p>
    <p>${theirs(says, 140)}${told}</p>
    <p class="remedy">${remedy}</p>
  </li>`;
}

function errorLink(reason: StatusError['reason']): Html {
  return reason === 'configuration'
    ? html`<code>${reason}</code>`
    : html`<a href="errors#${reason}"><code>${reason}</code></a>`;
}

function count(of: number): Html {
  return html`<small>${grouped(of)}</small>`;
}

function more(left: number, where: 'metrics' | null = null): Content {
  if (left <= 0) return null;
  return html`<p class="more">
    and ${grouped(left)} more${where === null ? null : html`: see <a href="metrics">metrics</a>`}
  </p>`;
}
