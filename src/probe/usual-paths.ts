// Where else on a server its MCP endpoint may be, when it is not at the URL that was given.

/** Each is one request more. */
const MAX_PATHS = 4;

export interface Candidate {
  readonly url: URL;
  readonly as: 'http_sse' | 'streamable_http';
}

/** Without the URL itself; the most likely first. */
export function usualPaths(url: URL): readonly Candidate[] {
  const base = url.pathname.replace(/\/+$/, '');
  const paths: readonly (readonly [path: string, as: Candidate['as']])[] = [
    ...(/\/(?:sse|mcp)$/.test(base) || base === '' ? [] : [[`${base}/sse`, 'http_sse'] as const]),
    ['/sse', 'http_sse'],
    ['/mcp', 'streamable_http'],
    ['/mcp/sse', 'http_sse'],
  ];
  const seen = new Set([base]);
  return paths
    .filter(([path]) => {
      const isNew = !seen.has(path);
      seen.add(path);
      return isNew;
    })
    .slice(0, MAX_PATHS)
    .map(([path, as]) => ({ url: atPath(url, path), as }));
}

/** Where a server that has an event stream here has its Streamable HTTP endpoint, where it has one; beside the URL itself. */
export function besideStream(url: URL): URL | null {
  if (!/\/sse\/?$/.test(url.pathname)) return null;
  return atPath(url, url.pathname.replace(/\/sse\/?$/, '/mcp'));
}

/** A path at the origin of a URL, whatever it begins with: after two slashes a resolved one would name another host. */
export function atPath({ origin }: URL, pathname: string): URL {
  const url = new URL(origin);
  url.pathname = pathname;
  return url;
}
