// A block of shell commands, taken apart as a shell would as far as the docs use one: words, quotes, variables, && and
// lines that go on. What is beyond that throws, and is for a real shell.

export interface ShellCommand {
  /** As it stands there, on one line. */
  readonly text: string;
  /** Assignments before it. */
  readonly env: Readonly<Record<string, string>>;
  readonly words: readonly string[];
}

/** `variables`: what `$NAME` stands for. */
export function commandsOf(script: string, variables: Readonly<Record<string, string>> = {}): ShellCommand[] {
  return script
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => commandsOn(line, variables));
}

/** Whether it takes a shell: pipes, substitution, assignments that stay. */
export function needsShell(script: string): boolean {
  return /\$\(|[|<>;`]|^\w+=\S*$/m.test(script.replaceAll(/'[^']*'/g, ''));
}

function commandsOn(line: string, variables: Readonly<Record<string, string>>): ShellCommand[] {
  const all: string[][] = [[]];
  for (const [text, single, double, bare] of tokens(line)) {
    if (text === '#') break;
    if (text === ' ') all.at(-1)?.push('');
    else if (text === '&&') all.push([]);
    else {
      const words = all.at(-1) ?? [];
      if (words.length === 0) words.push('');
      words[words.length - 1] += single ?? expanded(double ?? bare ?? '', variables);
    }
  }
  return all.map((parts) => {
    const words = parts.filter((word) => word !== '');
    const first = words.findIndex((word) => !/^[A-Z_][A-Z0-9_]*=/.test(word));
    const env = Object.fromEntries(words.slice(0, first).map((word) => splitAt(word, '=')));
    return { text: words.join(' '), env, words: words.slice(first) };
  });
}

function* tokens(line: string): Generator<(string | undefined)[]> {
  const token = /\s+#|\s+&&\s+|\s+|'([^']*)'|"([^"\\]*)"|((?:[^\s'"\\|<>;`$()&]|\$\w+|\$\{\w+\}|\$PWD)+)/y;
  while (token.lastIndex < line.length) {
    const at = token.lastIndex;
    const found = token.exec(line);
    if (found === null) throw new Error(`not understood at ${at}: ${line}`);
    const [text, ...groups] = found;
    const kind = text.trim();
    yield [kind === '' ? ' ' : kind, ...groups];
  }
}

function expanded(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(?:(\w+)|\{(\w+)\})/g, (_, plain?: string, braced?: string) => {
    const value = variables[plain ?? braced ?? ''];
    if (value === undefined) throw new Error(`nothing says what ${plain ?? braced} is: ${text}`);
    return value;
  });
}

/** `a=b=c` at `=` → `a`, `b=c`. */
export function splitAt(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
