// The pages of the admin listener in a real browser: what it makes of them, and what it would not let anybody make of them.
// WRITE_PICTURES=1 takes those of docs/images anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/rows.ts';
import { type Names, busyGateway } from './support/busy-gateway.ts';
import { type Look, type WatchedPage, openPage } from './support/chromium.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MOST_BYTES = 64_000;
const TOKEN = 'a-token-of-some-length';

const FRIENDLY: Names = {
  server: 'docs-search',
  client: 'inspector',
  tools: ['index_documents', 'search_documents', 'summarize', 'export_report'],
};
const EVIL = [
  '</title></style></bdi><script>alert(1)</script>',
  '"><img src=x onerror=alert(2)>',
  "' autofocus onfocus='alert(3)",
  '\u202egnp.exe\u2066\u0007<svg/onload=alert(4)>',
];
const HOSTILE: Names = { server: EVIL.join(' '), client: EVIL.join(' '), tools: [...EVIL, 'W'.repeat(500)] };

const LOOKS: readonly Look[] = (['light', 'dark'] as const).flatMap((scheme) => [
  { scheme, width: 1280, height: 900 },
  { scheme, width: 360, height: 780 },
]);

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** How much of a page is beside the screen. */
const BEYOND = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

/** What axe finds that keeps people from using the page. */
async function findingsOn(page: WatchedPage): Promise<readonly Finding[]> {
  await page.evaluate(`${AXE}; undefined`);
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as readonly Finding[];
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

describe.each([
  ['friendly', FRIENDLY],
  ['hostile', HOSTILE],
])('with %s names', (_, names) => {
  test('both pages fit every screen, can be used by everybody, and give a browser nothing to complain of [T29]', async () => {
    const gateway = await busyGateway(names);
    const page = await openPage();

    for (const path of ['/', '/status?refresh=60', '/errors']) {
      for (const look of LOOKS) {
        await page.look(look);
        const status = await page.goTo(gateway.adminOrigin + path);
        const hidden = await page.evaluate(BEYOND);
        const elements = await page.evaluate('document.querySelectorAll("script, img, iframe, form, [onload]").length');
        const about = [path, look];

        expect([about, status, hidden, elements]).toEqual([about, 200, 0, 0]);
        // To be fetched again by itself is what somebody has to ask for.
        const findings = (await findingsOn(page)).filter(
          ({ id }) => !path.includes('refresh') || id !== 'meta-refresh',
        );
        expect([about, findings]).toEqual([about, []]);
      }
    }

    expect(page.complaints).toEqual([]);
  });
});

test('what would get past all that neither runs nor loads nor is styled [T29]', async () => {
  const gateway = await busyGateway(FRIENDLY);
  const page = await openPage();
  await page.goTo(`${gateway.adminOrigin}/`);
  const asked = gateway.journal.of('refused').length;

  await page.evaluate(`document.body.insertAdjacentHTML('beforeend',
    '<img src="/x.png" onerror="hacked = 1"><a id="x" style="color: red" onclick="hacked = 2">x</a><iframe src="/status"></iframe>')`);
  await page.evaluate(`document.body.append(Object.assign(document.createElement('script'), { text: 'hacked = 3' }))`);
  await page.evaluate(
    `document.head.append(Object.assign(document.createElement('base'), { href: 'http://evil.example' }))`,
  );
  await page.evaluate('document.getElementById("x").click()');
  const seen = await page.evaluate(
    '[typeof hacked, document.getElementById("x").style.color, new URL("x", document.baseURI).host === location.host]',
  );

  expect(seen).toEqual(['undefined', '', true]);
  expect(page.complaints.filter((text) => /Content Security Policy/.test(text)).length).toBeGreaterThanOrEqual(4);
  expect(gateway.journal.of('refused').length).toBe(asked);
});

test('a browser asks its user for the token, and shows the page to who has it', async () => {
  const gateway = await busyGateway(FRIENDLY, { admin: { port: 0, token: TOKEN } });
  const page = await openPage();
  const url = `${gateway.adminOrigin}/`;

  const statuses = [
    await page.goTo(url),
    await page.goTo(url, 'another-token-of-some-length'),
    await page.goTo(url, TOKEN),
  ];

  expect(statuses).toEqual([401, 401, 200]);
  expect(await page.evaluate('document.querySelector("h1").textContent')).toBe('Causeway');
});

test('with hundreds of sessions, calls and failures of hostile names it stays small', async () => {
  const gateway = await busyGateway(HOSTILE);
  const clientInfo = { name: HOSTILE.client, version: '1' };
  const sessions = await Promise.all(Array.from({ length: 300 }, () => gateway.search.openSession({ clientInfo })));
  void Promise.allSettled(
    sessions.map((id, index) => gateway.search.call(EVIL[index % 3] ?? '', {}, index, { 'mcp-session-id': id })),
  );
  await Promise.all(
    Array.from({ length: 300 }, (_, index) => gateway.send('GET', `/${index}${encodeURIComponent(EVIL[0] ?? '')}`)),
  );
  const ask = async (): Promise<string> =>
    (await fetch(`${gateway.adminOrigin}/`, { headers: { accept: 'text/html' } })).text();
  await expect.poll(ask, { timeout: 20_000 }).toMatch(/and 2\d\d more/);
  const page = await openPage();

  await page.look({ scheme: 'light', width: 360, height: 780 });
  await page.goTo(`${gateway.adminOrigin}/`);

  expect(Buffer.byteLength(await ask())).toBeLessThan(MOST_BYTES);
  expect(await findingsOn(page)).toEqual([]);
  expect(await page.evaluate(BEYOND)).toBe(0);
  expect(page.complaints).toEqual([]);
});

const PICTURES: readonly (readonly [file: string, look: Look])[] = [
  ['status-light.png', { scheme: 'light', width: 1120, height: 1040 }],
  ['status-dark-phone.png', { scheme: 'dark', width: 360, height: 780 }],
];

test.runIf(process.env['WRITE_PICTURES'] !== undefined)('its pictures', async () => {
  const gateway = await busyGateway(FRIENDLY);
  const page = await openPage();
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

  for (const [file, look] of PICTURES) {
    await page.look(look);
    await page.goTo(`${gateway.adminOrigin}/`);
    // A gateway in a test says that it is one.
    await page.evaluate(
      `for (const each of document.querySelectorAll('.facts')) each.firstChild.data = ' ${version}' + each.firstChild.data.trimStart().slice('0.0.0-test'.length)`,
    );
    writeFileSync(join(ROOT, 'docs/images', file), await page.picture());
  }
});
