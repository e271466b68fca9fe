// Prometheus' text format, read strictly: what does not belong to it is an error.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  readonly samples: readonly Sample[];
  /** `# TYPE` of each metric. */
  readonly types: Readonly<Record<string, string>>;
  /** The sum of all samples of this name that have at least these labels; 0 where there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

export function readScrape(text: string): Scrape {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const samples: Sample[] = [];
  const types: Record<string, string> = {};
  const series = new Set<string>();
  for (const line of text.split('\n')) {
    const [, metric, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line) ?? [];
    if (metric !== undefined && type !== undefined) {
      if (Object.hasOwn(types, metric)) throw new Error(`two types: ${line}`);
      types[metric] = type;
    } else if (line !== '' && !/^# HELP \S+ .+$/.test(line)) {
      // Prometheus takes NaN in any case.
      const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (name === '' || (Number.isNaN(Number(value)) && !/^(?:nan|[+-]?inf)$/i.test(value))) {
        throw new Error(`no sample: ${line}`);
      }
      if (series.has(`${name}{${labels}}`)) throw new Error(`twice: ${line}`);
      series.add(`${name}{${labels}}`);
      samples.push({ name, labels: readLabels(labels), value: Number(value) });
    }
  }
  for (const { name } of samples) {
    const metric = name.replace(/_(?:bucket|sum|count)$/, '');
    if (!Object.hasOwn(types, name) && !Object.hasOwn(types, metric)) throw new Error(`no type: ${name}`);
  }
  return {
    samples,
    types,
    sum: (name, labels = {}) =>
      samples
        .filter(
          (each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value),
        )
        .reduce((total, { value }) => total + value, 0),
  };
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? [];
    if (name === '') throw new Error(`no labels: ${text}`);
    labels[name] = value;
  }
  return labels;
}
