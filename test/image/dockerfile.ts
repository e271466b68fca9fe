// Reads a Dockerfile and a .dockerignore, as far as ours go: what is not known here is an error, never passed over.

export interface Step {
  readonly name: string;
  /** Behind the name, on one line. */
  readonly text: string;
}

export interface Stage {
  readonly base: string;
  readonly name: string | null;
  readonly steps: readonly Step[];
}

export function stagesOf(text: string): readonly Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  const stages: { base: string; name: string | null; steps: Step[] }[] = [];
  for (const line of lines) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [, base = '', as = null] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      stages.push({ base, name: as, steps: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`before the first stage: ${line}`);
      stage.steps.push({ name, text: rest });
    }
  }
  return stages;
}

/** The words of an exec form: `["a", "b"]`. */
export function execForm(text: string): readonly string[] {
  const words: unknown = JSON.parse(text);
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string'))
    throw new Error(`no exec form: ${text}`);
  return words;
}

/** `a=b c=d`. */
export function variables(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(' ').map((pair) => pair.split('=', 2) as [string, string]));
}

/** Whether a path of the context is sent to the engine. Patterns are names at the top, `*`, and exceptions from it. */
export function contextRule(ignored: string): (path: string) => boolean {
  const patterns = ignored.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return (path) => {
    let isSent = true;
    for (const pattern of patterns) {
      const isException = pattern.startsWith('!');
      const name = isException ? pattern.slice(1) : pattern;
      if (name !== '*' && /[*?[\\/]/.test(name)) throw new Error(`not understood in .dockerignore: ${pattern}`);
      if (name === '*' || path === name || path.startsWith(`${name}/`)) isSent = isException;
    }
    return isSent;
  };
}
