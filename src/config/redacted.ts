// What may be shown of a configuration: nothing of the list in credentials.ts, no credential or
// query of a URL.

import { isSecretAt } from './credentials.ts';
import { KEYS, nameOf } from './keys.ts';
import { durationText, sizeText } from './quantities.ts';
import { HIDDEN, redactedUrl } from './redacted-url.ts';
import type { Config } from './schema.ts';

/** The configuration in the form of a file, every default filled in. */
export function effective(config: Config): Record<string, unknown> {
  const upstreams = config.upstreams.map((upstream) => {
    const { urls: _, ...shown } = section(upstream, ['upstreams', '[]']);
    const [first, ...more] = upstream.urls.map(redactedUrl);
    const head = { name: upstream.name, path: upstream.path, url: more.length > 0 ? [first, ...more] : first };
    return { ...head, ...shown, ...head };
  });
  return { ...section(config, []), upstreams };
}

function section(value: object, path: readonly string[]): Record<string, unknown> {
  // What files hold is shown by their names.
  const entries = Object.entries(value).filter(([name, child]) => child !== undefined && name !== 'pem');
  return Object.fromEntries(entries.map(([name, child]) => [name, shownAt([...path, name], child)]));
}

function shownAt(path: readonly string[], value: unknown): unknown {
  if (value instanceof URL) return redactedUrl(value);
  if (typeof value === 'string') return isSecretAt(path) ? HIDDEN : value;
  if (typeof value === 'number') return withUnit(path, value);
  if (Array.isArray(value)) return value.map((each) => shownAt([...path, '[]'], each));
  if (typeof value !== 'object' || value === null) return value;
  return section(value, path);
}

function withUnit(path: readonly string[], value: number): number | string {
  // An upstream's own value has the unit of the general one, where there is one.
  const names = [nameOf(path).replaceAll('.[]', '[]'), nameOf(path.slice(2))];
  const unit = KEYS.filter(({ name }) => names.includes(name)).find(({ node }) => node['x-unit'])?.node['x-unit'];
  if (unit === undefined) return value;
  return unit === 'duration' ? durationText(value) : sizeText(value);
}
