// Debian's Chromium without a window, and one page of it as its debugging protocol shows it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { within } from '../../support/eventually.ts';

const WAIT_MS = 60_000;
const PATH = `${process.env['PATH'] ?? ''}:/usr/bin`;

/** Ends with the test. `more`: flags, and the pipes after stderr. */
export async function startChromium(
  url: string,
  more: { readonly flags?: readonly string[]; readonly pipes?: readonly 'pipe'[] } = {},
): Promise<ChildProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'));
  // Its sandbox needs what a container does not give; it opens pages of this test alone.
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const chromium = spawn('chromium', [...flags, ...(more.flags ?? []), `--user-data-dir=${folder}`, url], {
    env: { ...process.env, PATH, HOME: folder },
    stdio: ['ignore', 'ignore', 'ignore', ...(more.pipes ?? [])],
    detached: true,
  });
  const ended = once(chromium, 'exit').catch(() => {});
  onTestFinished(async () => {
    // With its children: it is a group of its own.
    if (chromium.pid !== undefined && chromium.exitCode === null) process.kill(-chromium.pid, 'SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return chromium;
}

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: 'light' | 'dark';
}

export interface WatchedPage {
  /** What the browser complained of: errors and warnings of the console, what its policy kept away, dialogs. */
  readonly complaints: readonly string[];
  /** Resolves when it is loaded, with its status. `password`: what its user says when he is asked; null: nothing. */
  goTo(url: string, password?: string | null): Promise<number>;
  look(how: Look): Promise<void>;
  /** What an expression comes to, promises included. */
  evaluate(expression: string): Promise<unknown>;
  /** As PNG, as much as can be seen. */
  picture(): Promise<Buffer>;
}

interface Said {
  readonly id?: number;
  readonly method?: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- as the protocol has it, looked into freely
  readonly params?: any;
  // oxlint-disable-next-line typescript/no-explicit-any -- the same
  readonly result?: any;
  readonly error?: { readonly message: string };
}

/** An empty page that is watched from the start. */
export async function openPage(): Promise<WatchedPage> {
  const chromium = await startChromium('about:blank', { flags: ['--remote-debugging-pipe'], pipes: ['pipe', 'pipe'] });
  const [, , , to, from] = chromium.stdio as unknown as readonly [null, null, null, Writable, Readable];
  const failed = Promise.withResolvers<never>();
  chromium.on('error', (cause) => failed.reject(new Error('no browser: is chromium installed?', { cause })));
  failed.promise.catch(() => {});
  to.on('error', () => {});

  const asked = new Map<number, (said: Said) => void>();
  const listeners = new Set<(said: Said) => void>();
  let rest = '';
  from.setEncoding('utf8').on('data', (piece: string) => {
    const texts = (rest + piece).split('\0');
    rest = texts.pop() ?? '';
    for (const text of texts) {
      const said = JSON.parse(text) as Said;
      if (said.id === undefined) for (const hear of listeners) hear(said);
      else asked.get(said.id)?.(said);
    }
  });
  let id = 0;
  let sessionId: string | undefined;
  const ask = async (method: string, params: object = {}): Promise<Said['result']> => {
    const own = ++id;
    const answer = new Promise<Said>((resolve) => asked.set(own, resolve));
    to.write(`${JSON.stringify({ id: own, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`);
    const { result, error } = await within(WAIT_MS, method, Promise.race([answer, failed.promise]));
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };

  const { targetInfos } = await ask('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }: { type: string }) => type === 'page');
  ({ sessionId } = await ask('Target.attachToTarget', { targetId, flatten: true }));
  const complaints: string[] = [];
  listeners.add(({ method, params }) => {
    if (method === 'Log.entryAdded' && params.entry.level !== 'info') complaints.push(params.entry.text);
    if (method === 'Runtime.consoleAPICalled') complaints.push(JSON.stringify(params.args));
    if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.text);
    if (method === 'Page.javascriptDialogOpening') complaints.push(`dialog: ${params.message}`);
    if (method === 'Audits.issueAdded') complaints.push(JSON.stringify(params.issue));
  });
  /** What the user would say. */
  let told: string | null = null;
  listeners.add(({ method, params }) => {
    const { requestId } = params ?? {};
    if (method === 'Fetch.requestPaused') void ask('Fetch.continueRequest', { requestId }).catch(() => {});
    if (method !== 'Fetch.authRequired') return;
    const said = { response: 'ProvideCredentials', username: 'operator', password: told };
    const authChallengeResponse = told === null ? { response: 'CancelAuth' } : said;
    // Asked a second time he has no other.
    told = null;
    void ask('Fetch.continueWithAuth', { requestId, authChallengeResponse }).catch(() => {});
  });
  await ask('Fetch.enable', { handleAuthRequests: true });
  for (const domain of ['Page', 'Log', 'Runtime', 'Network', 'Audits']) await ask(`${domain}.enable`);

  return {
    complaints,
    async goTo(url, password = null) {
      told = password;
      let status = 0;
      const loaded = new Promise<void>((resolve) => {
        const hear = ({ method, params }: Said): void => {
          if (method === 'Network.responseReceived' && params.type === 'Document') ({ status } = params.response);
          if (method !== 'Page.loadEventFired') return;
          listeners.delete(hear);
          resolve();
        };
        listeners.add(hear);
      });
      const { errorText } = await ask('Page.navigate', { url });
      if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
      await within(WAIT_MS, 'the page', loaded);
      return status;
    },
    async look({ width, height, scheme }) {
      const isPhone = width < 600;
      await ask('Emulation.setDeviceMetricsOverride', {
        width,
        height,
        deviceScaleFactor: isPhone ? 2 : 1,
        mobile: isPhone,
      });
      await ask('Emulation.setScrollbarsHidden', { hidden: true });
      await ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    },
    async evaluate(expression) {
      const { result, exceptionDetails } = await ask('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    },
    async picture() {
      const { data } = await ask('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(data, 'base64');
    },
  };
}
