// Everything that is fuzzed, by name. Its corpus is in corpus/NAME: an input that was once wrong stays there.

import type { Target } from './target.ts';
import { ENVELOPE } from './targets/envelope.ts';
import { HEADERS } from './targets/headers.ts';
import { SSE } from './targets/sse.ts';
import { TOKENS } from './targets/tokens.ts';
import { YAML } from './targets/yaml.ts';

export const TARGETS = { sse: SSE, envelope: ENVELOPE, tokens: TOKENS, headers: HEADERS, yaml: YAML } satisfies Record<
  string,
  Target
>;

export type TargetName = keyof typeof TARGETS;
export const TARGET_NAMES = Object.keys(TARGETS) as TargetName[];
