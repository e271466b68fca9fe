// The version, as package.json says it: one place, read once.

import { readFileSync } from 'node:fs';

// Works from src/ and from dist/: both stand beside package.json.
const file = new URL('../../package.json', import.meta.url);
export const VERSION = (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;

export function versionText(isJson: boolean): string {
  const facts = { name: 'mcp-causeway', version: VERSION, node: process.versions.node };
  return isJson ? JSON.stringify(facts) : VERSION;
}
