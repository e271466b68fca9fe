// The pictures in a real browser: no word is cut off, and none lies on another.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './pages.ts';

const FOLDER = join(ROOT, 'docs/images');
const PATH = `${process.env['PATH'] ?? ''}:/usr/bin`;
const WAIT_MS = 60_000;

/** What it finds wrong becomes the title of the page. */
const LOOK = `
  const svg = document.querySelector('svg').getBoundingClientRect();
  const words = [...document.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
  const faults = words.flatMap(([text, box], at) => [
    ...(box.width > 0 && box.left >= svg.left && box.right <= svg.right && box.top >= svg.top && box.bottom <= svg.bottom
      ? [] : ['cut off: ' + text]),
    ...words.slice(at + 1).filter(([, other]) => box.left < other.right && other.left < box.right
      && box.top + 2 < other.bottom - 2 && other.top + 2 < box.bottom - 2).map(([other]) => text + ' lies on ' + other),
  ]);
  const boxes = [...document.querySelectorAll('rect:not(.page)')].map((rect) => rect.getBoundingClientRect());
  const across = words.filter(([, word]) => boxes.some((box) => {
    const isIn = word.left >= box.left && word.right <= box.right;
    const touches = word.left < box.right && word.right > box.left && word.top < box.bottom && word.bottom > box.top;
    return touches && !isIn;
  })).map(([text]) => 'over an edge: ' + text);
  document.title = JSON.stringify({ words: words.length, faults: [...faults, ...across] });
`;

test.each((await readdir(FOLDER)).filter((name) => name.endsWith('.svg')))('%s: its words have room', async (name) => {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-image-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const svg = await readFile(join(FOLDER, name), 'utf8');
  const page = join(folder, 'page.html');
  await writeFile(page, `<!doctype html><meta charset="utf-8"><title></title><body>${svg}<script>${LOOK}</script>`);

  // Its sandbox needs what a container does not give; it opens this page alone.
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const { stdout } = await promisify(execFile)(
    'chromium',
    [...flags, `--user-data-dir=${join(folder, 'profile')}`, '--window-size=1000,600', '--dump-dom', `file://${page}`],
    { env: { ...process.env, PATH, HOME: folder }, timeout: WAIT_MS },
  );

  const [, title = '{}'] = /<title>(\{.*?\})<\/title>/.exec(stdout) ?? [];
  const seen = JSON.parse(title.replaceAll('&amp;', '&')) as { words: number; faults: string[] };
  expect(seen.faults).toEqual([]);
  expect(seen.words).toBe(svg.match(/<text /g)?.length);
});
