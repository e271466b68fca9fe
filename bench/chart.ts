// The main figures as bars: a plain SVG without scripts, fonts or links, its text is text, and it is readable on light
// and on dark pages.
import { seriesOf, type Metric, type Outcome } from './outcome.ts';
import { PEER_NAMES, type PeerName } from './peers.ts';
import type { ScenarioName } from './scenarios.ts';
import { digits, spread, type Spread } from './stats.ts';

interface Panel {
  readonly title: string;
  readonly scenario: ScenarioName;
  readonly metric: Metric;
}

export interface Bar {
  readonly name: PeerName;
  readonly figure: Spread;
}

const OWN: PeerName = 'causeway';
const PANELS: readonly Panel[] = [
  { title: 'Small calls a second, 32 in flight (more is better)', scenario: 'c32', metric: 'callsPerSecond' },
  { title: 'CPU of the gateway per small call, µs (less is better)', scenario: 'c32', metric: 'cpuUs' },
  { title: '8 sessions with streams: calls a second (more is better)', scenario: 'sessions', metric: 'callsPerSecond' },
  { title: 'Ten progress notifications a call: calls a second', scenario: 'progress10', metric: 'callsPerSecond' },
  { title: 'Answers of 1 MiB: MiB a second (more is better)', scenario: 'mib1', metric: 'mibPerSecond' },
  { title: 'Idle session with its stream, KiB (less is better)', scenario: 'idle', metric: 'kibPerSession' },
];

const WIDTH = 760;
const LABEL_WIDTH = 130;
const VALUE_WIDTH = 170;
const BAR_WIDTH = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
const ROW = 22;
const BAR_HEIGHT = 14;
const TITLE = 34;
const FOOT = 30;
/** A bar longer than so many times the gateway's own is cut, or nothing else could be seen. */
const MOST = 8;

const STYLE = `
  .page { fill: #ffffff; }
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .foot { font-size: 12px; }
  .bar { fill: #a8b1bb; }
  .own { fill: #0a69b7; }
  .range { stroke: #24292f; }
  .cut { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    text { fill: #e6edf3; }
    .bar { fill: #57606a; }
    .own { fill: #4aa3f0; }
    .range { stroke: #e6edf3; }
    .cut { stroke: #0d1117; }
  }`;

export function chart(outcomes: readonly Outcome[], foot: string): string {
  const panels = PANELS.map((panel) => ({ ...panel, bars: barsOf(outcomes, panel) })).filter(
    ({ bars }) => bars.length > 0,
  );
  let at = 0;
  const parts = panels.map(({ title, bars }) => {
    const part = panelText(title, bars, at);
    at += TITLE + bars.length * ROW;
    return part;
  });
  const height = at + FOOT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="what how">`,
    '<title id="what">What the gateway manages and costs, beside floors and other bridges</title>',
    `<desc id="how">Bars with their ranges: ${panels.map(({ title }) => escaped(title)).join('; ')}.</desc>`,
    `<style>${STYLE}\n</style>`,
    '<rect class="page" width="100%" height="100%"/>',
    ...parts,
    `<text class="foot" x="0" y="${height - 8}">${escaped(foot)}</text>`,
    '</svg>\n',
  ].join('\n');
}

function barsOf(outcomes: readonly Outcome[], { scenario, metric }: Panel): Bar[] {
  return PEER_NAMES.map((name) => ({ name, figure: spread(seriesOf(outcomes, scenario, name, metric)) })).filter(
    ({ figure }) => figure.median > 0,
  );
}

function panelText(title: string, bars: readonly Bar[], top: number): string {
  const own = bars.find(({ name }) => name === OWN)?.figure.high ?? Number.POSITIVE_INFINITY;
  const most = Math.min(Math.max(...bars.map(({ figure }) => figure.high)), own * MOST);
  const rows = bars.map((bar, index) => barText(bar, top + TITLE + index * ROW, BAR_WIDTH / most));
  return [`<text class="title" x="0" y="${top + 24}">${escaped(title)}</text>`, ...rows].join('\n');
}

function barText({ name, figure }: Bar, top: number, scale: number): string {
  const x = (value: number): number => Math.round((LABEL_WIDTH + Math.min(BAR_WIDTH, value * scale)) * 10) / 10;
  const isCut = figure.median * scale > BAR_WIDTH;
  const middle = top + BAR_HEIGHT / 2;
  const width = Math.max(1, x(figure.median) - LABEL_WIDTH);
  const value = `${digits(figure.median)} (${digits(figure.low)}–${digits(figure.high)})`;
  const end = Math.max(x(figure.median), x(figure.high)) + 8;
  const cutAt = LABEL_WIDTH + BAR_WIDTH - 20;
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${top + 12}" text-anchor="end">${name}</text>`,
    `<rect class="${name === OWN ? 'own' : 'bar'}" x="${LABEL_WIDTH}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}"/>`,
    isCut
      ? `<line class="cut" x1="${cutAt}" y1="${top + BAR_HEIGHT + 2}" x2="${cutAt + 8}" y2="${top - 2}"/>`
      : `<line class="range" x1="${x(figure.low)}" y1="${middle}" x2="${x(figure.high)}" y2="${middle}"/>`,
    `<text x="${end}" y="${top + 12}">${value}</text>`,
  ].join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
