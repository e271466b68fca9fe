// Where the installed peers are. They have a lock file of their own so that the gateway's stays small; nothing here may
// be imported statically, because `npm test` checks types on machines that never installed them.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';

const peersDirectory = dirname(dirname(fileURLToPath(import.meta.url)));

/** Absolute path of a file in an installed peer. A peer that is missing or of another version fails the test that asks. */
export function peerFile(peer: string, path: string): string {
  peerVersion(peer);
  return join(peersDirectory, 'node_modules', peer, path);
}

/** The version that is installed, once it is known to be the one that is pinned. */
export function peerVersion(peer: string): string {
  const pinned = pinnedVersion(peer);
  const installed = installedVersion(peer);
  if (installed === pinned) return installed;
  const found = installed === undefined ? 'is not installed' : `is installed as ${installed} instead of ${pinned}`;
  throw new Error(`${peer} ${found}: npm ci --prefix test/peers --ignore-scripts`);
}

export function importPeer(peer: string, path: string): Promise<unknown> {
  return import(pathToFileURL(peerFile(peer, path)).href);
}

/** A class of an imported peer, in the shape we think it has. Trusted here; what uses it notices when it is wrong. */
export function classLike<C>() {
  return z.custom<C>((value) => typeof value === 'function');
}

function pinnedVersion(peer: string): string {
  const manifest = z.object({ dependencies: z.record(z.string(), z.string()) });
  const text = readFileSync(join(peersDirectory, 'package.json'), 'utf8');
  const pinned = manifest.parse(JSON.parse(text)).dependencies[peer];
  if (pinned === undefined) throw new Error(`${peer} is not a dependency in test/peers/package.json`);
  return pinned.slice(pinned.lastIndexOf('@') + 1);
}

function installedVersion(peer: string): string | undefined {
  try {
    const text = readFileSync(join(peersDirectory, 'node_modules', peer, 'package.json'), 'utf8');
    return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
  } catch {
    return undefined;
  }
}
