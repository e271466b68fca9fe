// Defaults, a file, the environment and flags → the configuration, or every fault in them at once. Later ones win.

import { type Assignment, type Flags, fromEnvironment, fromFlags, pathIn, typed } from './assignments.ts';
import { contradictions } from './contradictions.ts';
import { ConfigError, type Fault, type Place, inOrder, withoutDrawn } from './faults.ts';
import { nameOf, nodesAt } from './keys.ts';
import type { Config } from './schema.ts';
import { type Surroundings, whyUnreadable } from './substitution.ts';
import { withTlsFiles } from './tls-files.ts';
import { type Validated, validate } from './validate.ts';
import { type Path, type YamlSource, readYaml } from './yaml-source.ts';

export { ConfigError } from './faults.ts';

export interface Given {
  readonly file?: string | undefined;
  readonly flags?: Flags;
}

/** The configuration in effect. Throws a ConfigError that names every fault. */
export function readConfig({ file, flags = {} }: Given, machine: Surroundings): Config {
  const drawn = new Set<string>();
  const surroundings = { ...machine, drew: (value: string) => drawn.add(value) };
  const source = file === undefined ? null : readFile(file, surroundings);
  if (source?.isReadable === false) throw new ConfigError(source.faults);
  const environment = fromEnvironment(surroundings);
  const ofFlags = fromFlags(flags, surroundings);
  const input = new Input(source?.value);
  for (const assignment of [...environment.assignments, ...ofFlags.assignments]) input.assign(assignment);

  const { config, problems } = asWhole(validate(input.value), surroundings);
  const told = [...(source?.faults ?? []), ...environment.faults, ...ofFlags.faults, ...input.faults];
  if (problems === null && told.length === 0) return config;
  // What a newer version may hold is not ours to judge.
  const newer = (problems ?? []).filter(({ path }) => nameOf(path) === 'version' && isNewer(input.value));
  const known = new Set(told.map(({ key }) => key));
  const more = (newer.length > 0 ? newer : (problems ?? [])).flatMap(({ path, at, message, suggestion }): Fault[] => {
    const place = input.placeOf(path) ?? source?.place(path, at) ?? { kind: 'none' };
    const key = nameOf(path);
    // A value that could not be read has been blamed for that.
    return known.has(key) ? [] : [{ place, key, message, ...(suggestion !== undefined && { suggestion }) }];
  });
  const faults = newer.length > 0 ? more : inOrder([...told, ...more]);
  throw new ConfigError(withoutDrawn(faults, drawn));
}

function isNewer(input: unknown): boolean {
  return isSection(input) && typeof input['version'] === 'number' && input['version'] > 1;
}

/** What a program says, without a file of its own. Throws a ConfigError. */
export function parseConfig(input: unknown, files: Pick<Surroundings, 'readFile' | 'onSecretFile'> = NO_FILES): Config {
  const { config, problems } = asWhole(validate(input), files);
  if (config !== null) return config;
  throw new ConfigError(
    problems.map(({ path, ...problem }) => ({ ...problem, key: nameOf(path), place: { kind: 'none' } })),
  );
}

const NO_FILES = {
  readFile(): never {
    throw Object.assign(new Error('there are no files'), { code: 'ENOENT' });
  },
};

/** What is right by itself may contradict something else, or name files that are not. */
function asWhole(read: Validated, files: Pick<Surroundings, 'readFile' | 'onSecretFile'>): Validated {
  if (read.config === null) return read;
  const { config, problems: wrongFiles } = withTlsFiles(read.config, files);
  const problems = [...contradictions(config), ...wrongFiles];
  return problems.length === 0 ? { config, problems: null } : { config: null, problems };
}

function readFile(file: string, surroundings: Surroundings): YamlSource {
  let text: string;
  try {
    text = surroundings.readFile(file);
  } catch (cause) {
    throw new ConfigError(`${file} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
  return readYaml({ file, text, surroundings, typed });
}

type Section = Record<string | number, unknown>;

/** The file's values, with assignments on top of them. */
class Input {
  readonly faults: Fault[] = [];
  readonly #places = new Map<string, Place>();
  #value: unknown;

  constructor(value: unknown) {
    this.#value = value ?? {};
  }

  get value(): unknown {
    return this.#value;
  }

  /** Where it, or what it stands in, was assigned. */
  placeOf(path: Path): Place | null {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(nameOf(path.slice(0, length)));
      if (place !== undefined) return place;
    }
    return null;
  }

  assign(assignment: Assignment): void {
    const { key, value, place } = assignment;
    if (key.path[0] === 'upstreams') {
      this.#assignUpstreams(assignment);
      return;
    }
    this.#set(key.path, value, place);
    if (!key.ownable) return;
    // It goes for every upstream, whatever the file says of one; of a section with several forms nothing is left.
    const [first = ''] = key.path;
    const isOfForms = nodesAt([first]).length > 1;
    const own = isOfForms ? [first] : key.path;
    this.#upstreams().forEach((_, index) => this.#remove(['upstreams', index, ...own]));
  }

  #assignUpstreams({ key, value, place }: Assignment): void {
    const count = this.#upstreams().length;
    const isOfAll = key.name === 'upstreams[].mode' || key.name === 'upstreams[].asks';
    if (count > 1 && !isOfAll) {
      this.faults.push({
        place,
        key: key.name,
        message: `is for one server, and the file names ${count}: set it there`,
      });
      return;
    }
    for (let index = 0; index < Math.max(1, count); index++) this.#set(pathIn(key, index), value, place);
  }

  #upstreams(): readonly unknown[] {
    const { upstreams } = isSection(this.#value) ? this.#value : {};
    return Array.isArray(upstreams) ? upstreams : [];
  }

  #set(path: Path, value: unknown, place: Place): void {
    this.#value = withValue(this.#value, path, value);
    this.#places.set(nameOf(path), place);
  }

  #remove(path: Path): void {
    const parent = path.slice(0, -1).reduce<unknown>((at, step) => (isSection(at) ? at[step] : undefined), this.#value);
    const last = path.at(-1);
    if (isSection(parent) && last !== undefined) delete parent[last];
  }
}

/** A copy with one value replaced. What stands in the way and is wrong there stays, to be refused. */
function withValue(within: unknown, path: Path, value: unknown, above: Path = []): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const isEmpty = within === undefined || within === null || isOtherForm(within, above);
  if (!isEmpty && !isSection(within)) return within;
  const copy: Section = Object.assign(typeof step === 'number' ? [] : {}, isEmpty ? null : within);
  copy[step] = withValue(copy[step], rest, value, [...above, step]);
  return copy;
}

/** One word that may stand in place of a section, such as `inbound: none`. */
function isOtherForm(value: unknown, path: Path): boolean {
  return nodesAt(path).some(({ const: only }) => only !== undefined && only === value);
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null;
}
