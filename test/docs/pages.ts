// The pages that people read, taken apart: fenced blocks, tables, headings, links. Every page of the project is one,
// so that a new page is held to the same.

import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
const NOT_OURS = new Set(['node_modules', 'dist', 'test-results']);

export interface Page {
  /** From the root of the project: `docs/errors.md`. */
  readonly file: string;
  /** Without the fenced blocks. */
  readonly prose: string;
  readonly blocks: readonly Block[];
  readonly tables: readonly Table[];
  /** As a link names them: `known-limits`. */
  readonly anchors: readonly string[];
}

export interface Block {
  readonly page: string;
  readonly line: number;
  /** After the fence; empty for a drawing. */
  readonly language: string;
  readonly text: string;
  /** The file that the words before it call it: `compose.yaml`. */
  readonly file: string | null;
  /** The words before it say that this is how it was before: of a program that this one replaces. */
  readonly isReplaced: boolean;
  /** For the title of a test. */
  readonly title: string;
}

export interface Table {
  readonly page: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const PAGES: readonly Page[] = pagesIn(ROOT).map((file) => pageOf(file, readFileSync(join(ROOT, file), 'utf8')));

export const BLOCKS: readonly Block[] = PAGES.flatMap(({ blocks }) => blocks);

export const TABLES: readonly Table[] = PAGES.flatMap(({ tables }) => tables);

export function page(file: string): Page {
  const found = PAGES.find((each) => each.file === file);
  if (found === undefined) throw new Error(`there is no page ${file}`);
  return found;
}

function pagesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name) || entry.name.startsWith('.')) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pagesIn(path);
    return entry.name.endsWith('.md') ? [relative(ROOT, path)] : [];
  });
}

export function pageOf(file: string, text: string): Page {
  const prose: string[] = [];
  const blocks: Block[] = [];
  let open: { readonly fence: string; readonly language: string; readonly line: number; text: string[] } | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const [, fence, language = ''] = /^\s*(`{3,}|~{3,})\s*(.*)$/.exec(line) ?? [];
    if (open === null && fence !== undefined) {
      open = { fence, language: language.trim(), line: index + 1, text: [] };
    } else if (open !== null && fence === open.fence && language === '') {
      const { language: of, line: at, text: lines } = open;
      blocks.push({
        page: file,
        line: at,
        language: of,
        text: `${lines.join('\n')}\n`,
        file: of === 'yaml' ? calledIn(prose) : null,
        isReplaced: /(?:^|[.,]\s)before\b[^.]*:$/i.test(lastParagraph(prose)),
        title: `${file}:${at} (${of || 'no language'})`,
      });
      open = null;
    } else if (open !== null) {
      open.text.push(line);
    } else {
      prose.push(line);
    }
  }
  if (open !== null) throw new Error(`${file}:${open.line}: a block that is not closed`);
  return { file, prose: prose.join('\n'), blocks, tables: tablesIn(file, prose), anchors: anchorsIn(prose) };
}

function lastParagraph(prose: readonly string[]): string {
  return prose.join('\n').trim().split(/\n\n+/).at(-1) ?? '';
}

/** Of the last paragraph, its last name of a file. */
function calledIn(prose: readonly string[]): string | null {
  return /.*`([\w.-]+\.yaml)`[^`]*$/s.exec(lastParagraph(prose))?.[1] ?? null;
}

function tablesIn(file: string, prose: readonly string[]): Table[] {
  const tables: Table[] = [];
  for (const [index, line] of prose.entries()) {
    if (!/^\|(?: ?:?-+:? ?\|)+$/.test(line)) continue;
    const end = prose.findIndex((each, at) => at > index && !each.startsWith('|'));
    const rows = prose.slice(index + 1, end < 0 ? prose.length : end);
    tables.push({ page: file, head: cellsOf(prose[index - 1] ?? ''), rows: rows.map(cellsOf) });
  }
  return tables;
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** As GitHub makes them. */
function anchorsIn(prose: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return prose.flatMap((line) => {
    const [, heading] = /^#{1,6} +(.*?) *#*$/.exec(line) ?? [];
    if (heading === undefined) return [];
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return [count === 0 ? slug : `${slug}-${count}`];
  });
}
