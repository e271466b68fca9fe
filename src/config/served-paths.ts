// What stands at which path and address: nothing twice, what must be given, and where clients of the old transport go if
// nobody says.

export interface Taken {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Two upstreams of one name, or two things at one path. What it is given may be wrong in other ways. */
export function taken(upstreams: unknown): Taken[] {
  const faults: Taken[] = [];
  const names = new Set<string>();
  const paths = new Map<string, string>();
  const take = (path: unknown, what: string, at: (string | number)[]): void => {
    if (typeof path !== 'string') return;
    const holder = paths.get(path);
    if (holder !== undefined) faults.push({ path: at, message: `${path} is ${holder} already: choose another` });
    else paths.set(path, what);
  };
  const list = Array.isArray(upstreams) ? upstreams.filter((each) => typeof each === 'object' && each !== null) : [];
  // The paths of all before the old paths of any: of two, the less important is to move.
  for (const [index, { name, path }] of list.entries()) {
    if (names.has(name))
      faults.push({
        path: ['upstreams', index, 'name'],
        message: `another upstream has the name ${name} already: give each its own`,
      });
    names.add(name);
    take(path, `the path of upstream ${String(name)}`, ['upstreams', index, 'path']);
  }
  for (const [index, { name, legacy }] of list.entries()) {
    for (const key of ['sse', 'messages'] as const) {
      take(legacy?.[key], `${key} of upstream ${String(name)}`, ['upstreams', index, 'legacy', key]);
    }
  }
  return faults;
}

const LISTENERS = [
  ['listen', 'for clients'],
  ['admin', 'of the admin listener'],
  ['peers', 'for the other replicas'],
] as const;

/** Two listeners at one address. What it is given may be wrong in other ways, or not be there. */
export function takenAddress(sections: Readonly<Record<(typeof LISTENERS)[number][0], unknown>>): Taken[] {
  const given = LISTENERS.flatMap(([name, whose]) => {
    const address = addressIn(sections[name]);
    return address === null ? [] : [{ name, whose, ...address }];
  });
  return given.flatMap(({ name, host, port }, index) => {
    const holder = given.slice(0, index).find((other) => {
      const isEach = [host, other.host].some((each) => each === '0.0.0.0' || each === '::');
      return other.port === port && port !== 0 && (host === other.host || isEach);
    });
    if (holder === undefined) return [];
    return [{ path: [name, 'port'], message: `${String(port)} is the port ${holder.whose} already: choose another` }];
  });
}

function addressIn(section: unknown): { readonly host: unknown; readonly port: unknown } | null {
  if (typeof section !== 'object' || section === null || !('host' in section) || !('port' in section)) return null;
  return { host: section.host, port: section.port };
}

/** Tokens for a resource that has no URL. What it is given may be wrong in other ways. */
export function unseen(inbound: unknown, upstreams: unknown, publicUrl: unknown): Taken[] {
  const takesTokens = (of: unknown): boolean => typeof of === 'object' && of !== null && 'jwt' in of;
  const list: unknown[] = Array.isArray(upstreams) ? upstreams : [];
  const own = list.map((each) =>
    typeof each === 'object' && each !== null && 'inbound' in each ? each.inbound : null,
  );
  if (publicUrl !== undefined || ![inbound, ...own].some(takesTokens)) return [];
  const message =
    'is missing: with inbound.jwt callers are told for which resource their token must be, such as https://mcp.example.com';
  return [{ path: ['publicUrl'], message }];
}

const LEGACY_PATHS = { sse: '/sse', messages: '/messages' };

interface MayBeLegacy {
  readonly path: string;
  readonly legacy?: false | typeof LEGACY_PATHS | undefined;
  readonly links?: { readonly single?: 'auto' | true | undefined } | undefined;
}

/** Old clients are served without being asked to where it is clear what they mean, and nothing else is in the way. */
export function legacyOf(
  { path, legacy, links }: MayBeLegacy,
  config: { readonly upstreams: readonly unknown[]; readonly links: { readonly single: 'auto' | true } },
): false | typeof LEGACY_PATHS {
  // A server that survives one connection only has none to spare for them, whatever was said.
  if ((links?.single ?? config.links.single) === true) return false;
  if (legacy !== undefined) return legacy;
  const isFree = path !== LEGACY_PATHS.sse && path !== LEGACY_PATHS.messages;
  return config.upstreams.length === 1 && isFree ? LEGACY_PATHS : false;
}
